"""What PostgreSQL cannot do at the moment is 503 with Retry-After, serves an old answer, and leaves nothing behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest

from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.rendering import lock_limit_ms
from cacheaside.errors import RefusedForNow
from cacheaside.http import application
from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.api import Api
from tests.component.support.declared import declared_command, declared_query
from tests.component.support.sql import Sql
from tests.support.answer import Answer
from tests.support.problem_document import check_problem
from tests.support.wait_until import wait_until

SCHEMA: Final = """
create schema waiting;
create table waiting.rows (id integer primary key);
create table waiting.reason (code text);
create function waiting.refuse() returns integer language plpgsql as 'declare reason text; begin
    select code into reason from waiting.reason;
    if reason is not null then raise ''a secret'' using errcode = reason; end if;
    return 1; end';
create function waiting.refuse_late() returns trigger language plpgsql as
    'begin perform waiting.refuse(); return null; end';
create constraint trigger late after insert on waiting.rows deferrable initially deferred
    for each row execute function waiting.refuse_late();
create sequence waiting.attempts;
create function waiting.insert_a_row() returns integer language plpgsql as
    'begin perform nextval(''waiting.attempts''); insert into waiting.rows values (1); return 1; end';
grant usage on schema waiting to cacheaside_query, cacheaside_command;
grant select on waiting.rows, waiting.reason to cacheaside_query, cacheaside_command;
grant insert on waiting.rows to cacheaside_command;
grant usage on sequence waiting.attempts to cacheaside_query, cacheaside_command;
"""
REFUSE: Final = "select waiting.refuse() as it"
INSERT: Final = "insert into waiting.rows values (1) returning id"
SORT: Final = "select id from generate_series(1, 300000) as id order by md5(id::text)"
MANY_LOCKS: Final = "select count(pg_advisory_xact_lock_shared(id)) from generate_series(1, 1000000) as id"

BUSY: Final = ("/docs#busy", "5")
SECONDS: Final = ("/docs#refused-for-now", "5")
A_MINUTE: Final = ("/docs#refused-for-now", "60")
UNKNOWN: Final = ("/docs#outcome-unknown", None)
PASSING: Final = {
    **dict.fromkeys(["40000", "40001", "40P01", "55P03", "72000"], BUSY),
    **dict.fromkeys(["53000", "53200", "53300", "08000", "08001", "08004", "08006"], SECONDS),
    **dict.fromkeys(["57000", "57P01", "57P02", "57P03", "57P04", "57P05"], SECONDS),
    **dict.fromkeys(["53100", "53400"], A_MINUTE),
    **dict.fromkeys(["08007", "40003"], UNKNOWN),
}
LASTING: Final = ["0A000", "08P01", "08003", "25P02", "54001", "55000", "55006", "58000", "58030", "XX001"]


@pytest.fixture(scope="module", autouse=True)
def schema(postgres: PostgresServer) -> Iterator[None]:
    with closing(psycopg2.connect(postgres.url)) as owner, owner.cursor() as cursor:
        owner.autocommit = True
        cursor.execute(SCHEMA)
        yield
        cursor.execute("drop schema waiting cascade")


@pytest.fixture(autouse=True)
def nothing_is_refused(sql: Sql) -> None:
    sql("truncate waiting.rows, waiting.reason, cacheaside.idempotency_keys; alter sequence waiting.attempts restart")


@contextmanager
def locked(postgres: PostgresServer, table: str) -> Iterator[None]:
    """Hold the lock of a DDL statement on the table."""
    with closing(psycopg2.connect(postgres.url)) as holder, holder.cursor() as cursor:
        cursor.execute(f"lock table {table}")
        yield


@contextmanager
def role_with(sql: Sql, role: str, **settings: str) -> Iterator[None]:
    """Give the settings to new sessions of the role."""
    for name, value in settings.items():
        sql(f"alter role {role} set {name} = '{value}'")
    try:
        yield
    finally:
        sql(f"alter role {role} reset all")


@contextmanager
def read_only(sql: Sql) -> Iterator[None]:
    """Make the server read-only by default."""
    sql("alter system set default_transaction_read_only = on")
    sql("select pg_reload_conf()")
    try:
        # A session gets the setting after the process that starts new sessions.
        wait_until(lambda: sql("show default_transaction_read_only") == [("on",)])
        yield
    finally:
        sql("set default_transaction_read_only = off")
        sql("alter system reset default_transaction_read_only")
        sql("select pg_reload_conf()")
        sql("reset default_transaction_read_only")
        wait_until(lambda: sql("show default_transaction_read_only") == [("off",)])


def told(answer: Answer) -> tuple[str, str | None]:
    """Return the kind of a problem of status 503, which must show nothing of the database, and its Retry-After."""
    assert b"secret" not in answer.body
    return check_problem(answer, 503)["type"], answer.headers.get("retry-after")


def refuse_with(sql: Sql, code: str) -> None:
    sql("truncate waiting.reason")
    sql("insert into waiting.reason values (%s)", code)


# The table


def test_refusal_that_passes_by_itself_is_503(api: Api, sql: Sql) -> None:
    asked, called = {}, {}
    for code in PASSING:
        refuse_with(sql, code)
        asked[code] = told(declared_query(api, f"{REFUSE}, '{code}' as code")())  # another query shares no failure
        called[code] = told(declared_command(api, REFUSE)())
    assert called == PASSING
    # A query changes nothing, so nothing about it can be unknown.
    assert asked == {code: SECONDS if end == UNKNOWN else end for code, end in PASSING.items()}


def test_refusal_that_lasts_is_500(api: Api, sql: Sql) -> None:
    for code in LASTING:
        refuse_with(sql, code)
        ask, call = declared_query(api, f"{REFUSE}, '{code}' as code"), declared_command(api, REFUSE)
        assert (code, ask().status, call().status) == (code, 500, 500)


def test_log_has_the_sqlstate_of_a_refusal(api: Api, sql: Sql) -> None:
    records: list[logging.LogRecord] = []
    handler, logger = logging.Handler(), application._logger()
    handler.emit = records.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    refuse_with(sql, "53100")
    try:
        declared_command(api, REFUSE)()
    finally:
        logger.removeHandler(handler)
    assert [(record.levelname, record.__dict__["sqlstate"]) for record in records] == [("ERROR", "53100")]


def test_query_that_exceeds_temp_file_limit_is_503(api: Api, sql: Sql) -> None:
    with role_with(sql, "cacheaside_query", temp_file_limit="64kB", work_mem="64kB"):
        assert told(declared_query(api, SORT)()) == A_MINUTE


def test_statement_that_exhausts_the_shared_memory_for_locks_is_503(api: Api) -> None:
    assert told(declared_command(api, MANY_LOCKS)()) == SECONDS


@pytest.mark.parametrize("clause", ["connection limit 0", "nologin"])
def test_connection_that_is_refused_is_503(api: Api, sql: Sql, clause: str) -> None:
    sql(f"alter role cacheaside_command {clause}")
    try:
        assert told(declared_command(api, "select 1 as one")()) == ("/docs#unavailable", "5")
    finally:
        sql("alter role cacheaside_command connection limit -1 login")


# Old answers


@pytest.fixture
def expired(api: Api) -> Callable[[str], Callable[[], Answer]]:
    """Declares a query whose answer is stored and has expired, but may be served after an error."""

    def declare(statement: str) -> Callable[[], Answer]:
        policy = api.module("QueryFunction").catalogue.query("product").policy
        policy = policy._replace(ttl_ms=1, stale_ms=0, stale_if_error_ms=600_000)
        ask = declared_query(api, statement, {"policy": policy, "timeout_ms": 4_000})
        assert ask().status == 200
        return ask

    return declare


def is_old_answer(answer: Answer) -> bool:
    return answer.status == 200 and "detail=stale-if-error" in answer.cache_status


@pytest.mark.parametrize("code", ["40001", "53100", "40003"])
def test_old_answer_is_served_while_a_load_is_refused(expired: Any, sql: Sql, code: str) -> None:
    ask = expired(REFUSE)
    refuse_with(sql, code)
    assert is_old_answer(ask())


def test_old_answer_is_served_while_a_table_is_locked(expired: Any, postgres: PostgresServer) -> None:
    ask = expired("select count(*) as n from waiting.rows")
    with locked(postgres, "waiting.rows"):
        assert is_old_answer(ask())


# Locks


def test_query_does_not_wait_for_a_lock_until_its_timeout(api: Api, postgres: PostgresServer) -> None:
    ask = declared_query(api, "select id from waiting.rows", {"timeout_ms": 4_000})
    with locked(postgres, "waiting.rows"):
        assert told(ask()) == BUSY


def test_query_waits_for_a_lock_for_a_quarter_of_its_timeout_and_at_most_a_second(api: Api) -> None:
    for timeout_ms, limit in ((4_000, "1s"), (30_000, "1s")):
        shown = f"select current_setting('lock_timeout') as it, {timeout_ms}"
        ask = declared_query(api, shown, {"timeout_ms": timeout_ms})
        assert ask().json["data"][0]["it"] == limit
    assert lock_limit_ms(1) == 1, "0 would be no limit"


def test_command_attempts_three_times_to_get_a_lock(api: Api, sql: Sql, postgres: PostgresServer) -> None:
    call = declared_command(api, "select waiting.insert_a_row() as it", {"timeout_ms": 8_000})
    with locked(postgres, "waiting.rows"):
        assert told(call()) == BUSY
    assert sql("select last_value from waiting.attempts") == [(3,)]
    assert call().status == 200


def test_command_whose_changes_cannot_be_recorded_yet_is_busy(api: Api, postgres: PostgresServer, sql: Sql) -> None:
    commands = api.module("CommandFunction").catalogue.commands
    commands["set_price"] = commands["set_price"]._replace(timeout_ms=4_000)
    before = sql("select price from products where id = 42")
    with locked(postgres, "cacheaside.outbox"):
        assert told(api.post("/commands/set_price", {"id": 42, "price": 12345}, idempotency_key="k")) == BUSY
    assert sql("select price from products where id = 42") == before
    again = api.post("/commands/set_price", {"id": 42, "price": 12345}, idempotency_key="k")
    assert (again.status, "idempotency-replayed" in again.headers) == (200, False)


def test_locked_table_of_the_keys_is_no_request_in_flight(api: Api, postgres: PostgresServer) -> None:
    commands = api.module("CommandFunction").catalogue.commands
    commands["set_price"] = commands["set_price"]._replace(timeout_ms=4_000)
    with locked(postgres, "cacheaside.idempotency_keys"):
        assert told(api.post("/commands/set_price", {"id": 42, "price": 1}, idempotency_key="k")) == BUSY


# A full disk


def test_disk_that_is_full_at_the_commit_leaves_no_row_and_a_free_key(api: Api, sql: Sql) -> None:
    declared_command(api, INSERT)
    refuse_with(sql, "53100")
    assert told(api.post("/commands/declared", {}, idempotency_key="k")) == A_MINUTE
    assert sql("select count(*) from waiting.rows") == [(0,)]
    sql("truncate waiting.reason")
    answer = api.post("/commands/declared", {}, idempotency_key="k")
    assert (answer.status, "idempotency-replayed" in answer.headers) == (200, False)


@pytest.mark.parametrize("code", ["08006", "57P01"])
def test_connection_that_is_lost_during_the_commit_does_not_say_that_nothing_was_written(
    api: Api, sql: Sql, code: str
) -> None:
    """So it is if the server of a foreign table does not answer COMMIT: it may have carried it out."""
    declared_command(api, INSERT)
    refuse_with(sql, code)
    assert told(api.post("/commands/declared", {}, idempotency_key="k")) == UNKNOWN


# A read-only database


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}])
def test_command_is_503_while_its_role_is_read_only_and_works_at_once_after_that(
    api: Api, sql: Sql, key: dict[str, str]
) -> None:
    declared_command(api, INSERT)
    with role_with(sql, "cacheaside_command", default_transaction_read_only="on"):
        assert told(api.post("/commands/declared", {}, **key)) == SECONDS
    assert api.post("/commands/declared", {}, **key).status == 200, "on a new connection, which may write"


def test_while_the_server_is_read_only_commands_are_503_and_queries_work(api: Api, sql: Sql) -> None:
    call, ask = declared_command(api, INSERT), declared_query(api, "select 1 as one")
    with read_only(sql):
        assert told(call()) == SECONDS
        assert ask().status == 200
    assert call().status == 200


def test_sweep_works_at_once_after_its_role_was_read_only(outbox: Outbox, sql: Sql) -> None:
    with role_with(sql, "cacheaside_invalidate", default_transaction_read_only="on"), pytest.raises(RefusedForNow):
        outbox.prune()
    outbox.prune()


def test_query_that_writes_is_500(api: Api) -> None:
    check_problem(declared_query(api, "select nextval('waiting.attempts') as it")(), 500)


@pytest.fixture(scope="module")
def standby(new_folder: Callable[[str], Path]) -> Iterator[PostgresServer]:
    with PostgresServer(new_folder("hot_standby"), durable=False) as server:
        with closing(psycopg2.connect(server.url)) as owner:
            upgrade(owner)
        server.stop()
        (server.folder / "data" / "standby.signal").touch()
        server.start()
        yield server


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_command_whose_session_a_proxy_has_moved_to_a_standby_runs_on_the_primary(
    api: Api, standby: PostgresServer, isolation: str
) -> None:
    call = declared_command(api, INSERT, {"isolation": isolation})
    moved = psycopg2.connect(standby.url)
    moved.autocommit = True
    api.module("CommandFunction").writer._database._kept._connection = moved
    assert call().status == 200
