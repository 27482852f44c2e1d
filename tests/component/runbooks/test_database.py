"""The runbooks of the database: their SQL shows the cause to a master user, and their actions are his to take."""

from __future__ import annotations

from contextlib import closing
from threading import Thread
from typing import Final

import psycopg2
import pytest

from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import SECTIONS
from tests.component.runbooks.stack import OTHER, RunbookStack
from tests.support.wait_until import wait_until

CPU: Final = SECTIONS["Database CPU"]


def test_statement_that_a_person_started(stack: RunbookStack) -> None:
    slow = "select count(*) from generate_series(1, 10000) as a, generate_series(1, 10000000) as b"
    find, cancel = CPU.sql
    errors: list[str | None] = []
    with closing(psycopg2.connect(stack.postgres.url_for(OTHER))) as session, session.cursor() as cursor:

        def execute() -> None:
            try:
                cursor.execute(slow)
            except psycopg2.Error as error:
                errors.append(error.pgcode)

        pid = session.info.backend_pid
        thread = Thread(target=execute)
        thread.start()
        try:
            wait_until(lambda: [row for row in stack.sql(find) if row[:2] == (pid, OTHER) and row[-1] == slow])
            assert stack.sql(cancel.replace("PID", str(pid))) == [(True,)]
        finally:  # or the session could not be closed
            stack.sql(f"select pg_cancel_backend({pid})", user="postgres")
            thread.join()
    assert errors == ["57014"]


def test_slow_statement_is_in_the_log(stack: RunbookStack) -> None:
    stack.sql("select pg_sleep(1.1)", user=OTHER)
    [look] = CPU.queries("postgresql")
    rows = run(look, stack.postgres.log.read_text().splitlines())
    assert any("select pg_sleep(1.1)" in row["@message"] for row in rows)


def test_connections(stack: RunbookStack) -> None:
    stack.get("/queries/gift?id=1")
    rows = stack.sql(SECTIONS["Database connections"].sql[0])
    assert [(user, state) for user, _, state, _ in rows if user == "cacheaside_query"] == [("cacheaside_query", "idle")]


def test_storage(stack: RunbookStack) -> None:
    largest, slots, drop = SECTIONS["Database storage"].sql
    stack.sql("create table large as select repeat('x', 100) as text from generate_series(1, 200000)")
    assert stack.sql(largest)[0][0] == "large"
    stack.sql("drop table large")
    stack.sql("select pg_create_physical_replication_slot('left_over', true)", user="postgres")
    [(name, active, _)] = stack.sql(slots)
    assert (name, active) == ("left_over", False)
    stack.sql(drop.replace("NAME", name), user="postgres")  # on RDS a master user may do it too
    assert stack.sql(slots) == []


def test_owner_of_an_existing_database_sees_only_his_own_sessions(stack: RunbookStack) -> None:
    """So the runbook sends him to the master user."""
    stack.sql("create role plain_owner login")
    with closing(psycopg2.connect(stack.postgres.url_for(OTHER))) as session, session.cursor() as cursor:
        cursor.execute("select 'hidden'")
        oldest = SECTIONS["A lock that is held"].sql[1]
        assert [row for row in stack.sql(oldest) if row[1] == OTHER]
        assert not [row for row in stack.sql(oldest, user="plain_owner") if row[4] == "select 'hidden'"]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            stack.sql(f"select pg_terminate_backend({session.info.backend_pid})", user="plain_owner")
    stack.sql("drop role plain_owner")
