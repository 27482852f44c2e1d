"""The runbook of API errors: its query finds each exception in the log, and one row of its table has the cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from threading import Thread
from typing import Any, Final, NamedTuple

import psycopg2
import pytest
import redis
from psycopg2.extensions import connection as Connection

from cacheaside import errors
from cacheaside.http.problems import problem_of
from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import SECTIONS
from tests.component.runbooks.stack import OTHER, OWNER, RunbookStack
from tests.support.wait_until import wait_until

API_ERRORS: Final = SECTIONS["API errors"]
LOCK: Final = SECTIONS["A lock that is held"]
READ_ONLY: Final = SECTIONS["A database that is read-only"]
_ids = count(1)
_SQLSTATE: Final = re.compile(r"\b(?=\w*\d)[0-9A-Z]{5}\b")
_ROLE: Final = "alter role cacheaside_query"
_NEW_SESSION: Final = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_query'"


class Fault(NamedTuple):
    """A fault of the database, how it ends, and what the log says about a request meanwhile."""

    begin: str
    end: str
    target: str
    name: str
    sqlstate: str = ""
    reason: str = ""


GIFT: Final = "/queries/gift?id={}"
FAULTS: Final = {
    "a role that may not log in": Fault(
        f"alter role cacheaside_query nologin; {_NEW_SESSION}",
        "alter role cacheaside_query login",
        GIFT,
        "DatabaseUnavailable",
        reason="not permitted to log in",
    ),
    "no connection left": Fault(
        f"alter role cacheaside_query connection limit 0; {_NEW_SESSION}",
        "alter role cacheaside_query connection limit -1",
        GIFT,
        "DatabaseUnavailable",
        reason="too many connections",
    ),
    "temporary files": Fault(
        f"{_ROLE} set work_mem = '64kB'; {_ROLE} set temp_file_limit = '64kB'; {_NEW_SESSION}",
        f"{_ROLE} reset work_mem; {_ROLE} reset temp_file_limit; {_NEW_SESSION}",
        "/queries/sorted?id={}",
        "RefusedForNow",
        "53400",
        "temp_file_limit",
    ),
    "a lost grant": Fault(
        "revoke select on gifts from cacheaside_query",
        "grant select on gifts to cacheaside_query",
        GIFT,
        "StatementFailed",
        "42501",
        "permission denied for table gifts",
    ),
    "a column that is gone": Fault(
        "alter table gifts rename price to cost",
        "alter table gifts rename cost to price",
        GIFT,
        "StatementFailed",
        "42703",
        'column "price" does not exist',
    ),
    "a slow query": Fault("", "", "/queries/slow", "StatementTimeout", "57014"),
    "a large answer": Fault("", "", "/queries/large", "AnswerTooLarge"),
    "a wrong file": Fault("", "", "/queries/wrong", "CatalogueError", reason="wrong.sql:2"),
    # PostgreSQL reports these as it would, though the reason is not induced.
    **{
        code: Fault("", "", f"/queries/raising?code={code}", name, code)
        for name, codes in {"Busy": ["40001", "40P01"], "RefusedForNow": ["53100", "53000", "53200", "08006"]}.items()
        for code in codes
    },
}


def action_for(name: str, sqlstate: str = "", *words: str) -> str:
    """Return the action of the one row that a reader finds by the name, the SQLSTATE and other words of the cause."""
    named = [
        (cause, action)
        for cause, action in API_ERRORS.causes
        if f"`{name}`" in cause and ("on the route" in cause) == bool(words)
    ]
    exact = [action for cause, action in named if sqlstate and sqlstate in cause]
    others = [action for cause, action in named if not _SQLSTATE.search(cause) and all(word in cause for word in words)]
    [action] = exact or others
    return action


def found(stack: RunbookStack, function: str = "QueryFunction") -> dict[str, Any]:
    """Return the one kind of error that the section's query finds in the log of a function, with its `exception`."""
    [query] = API_ERRORS.queries("query")
    lines = stack.log(function)
    rows = run(query, lines)
    assert len(rows) == 1, rows
    [exception, *_] = [row["exception"] for row in run('filter level = "ERROR" | fields exception', lines)]
    return {**rows[0], "exception": exception}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_log_and_table_tell_the_cause(stack: RunbookStack, fault: Fault) -> None:
    stack.get(GIFT.format(next(_ids)))  # a connection from before the fault
    stack.forget_logs()
    if fault.begin:
        stack.sql(fault.begin, user="postgres")
    try:
        answer = stack.get(fault.target.format(next(_ids)))
    finally:
        if fault.end:
            stack.sql(fault.end, user="postgres")
    assert answer.status >= 500
    row = found(stack)
    assert (row["exception_name"], row["sqlstate"]) == (fault.name, fault.sqlstate)
    assert fault.reason in row["exception"]
    assert action_for(fault.name, fault.sqlstate)
    if fault.end:
        assert stack.get(fault.target.format(next(_ids))).status == 200


@contextmanager
def transaction(stack: RunbookStack, statement: str) -> Iterator[Connection]:
    """Run a statement in the transaction of another application, which stays open during the block."""
    with closing(psycopg2.connect(stack.postgres.url_for(OTHER))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield connection


@contextmanager
def in_background(call: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run `call` during the block, and wait for its end. Gives the list that then has its result."""
    results: list[Any] = []
    thread = Thread(target=lambda: results.append(call()))
    thread.start()
    try:
        yield results
    finally:
        thread.join()


@pytest.mark.parametrize(
    ("function", "statement", "call"),
    [
        ("QueryFunction", "lock table gifts", lambda stack: stack.get(GIFT.format(next(_ids)))),
        (
            "CommandFunction",
            "update gifts set price = price where id = 1",
            lambda stack: stack.post("/commands/set_gift", {"id": 1}),
        ),
    ],
)
def test_a_lock_that_is_held(stack: RunbookStack, function: str, statement: str, call: Callable[..., Any]) -> None:
    """The SQL of its section shows the session to a master user while a request waits, and `terminate` ends it."""
    holders, oldest, end = LOCK.sql[:3]
    with transaction(stack, statement):
        assert call(stack).status == 503
        row = found(stack, function)
        assert (row["exception_name"], row["sqlstate"]) == ("Busy", "55P03")
        assert "#a-lock-that-is-held" in action_for("Busy", "55P03")
        with in_background(lambda: call(stack)):
            shown: list[Any] = []
            wait_until(lambda: shown.extend(stack.sql(holders)) or shown)
            [(pid, user, state, _, text), *_] = shown
        assert (user, state, text) == (OTHER, "idle in transaction", statement)
        assert stack.sql(oldest)[0][0] == pid
        assert stack.sql(end.replace("PID", str(pid))) == [(True,)]
        wait_until(lambda: call(stack).status == 200)
    [query] = LOCK.queries("postgresql")
    assert run(query, stack.postgres.log.read_text().splitlines())


def test_a_database_that_is_read_only(stack: RunbookStack) -> None:
    def set_price() -> int:
        return stack.post("/commands/set_price", {"id": 1, "price": 1}).status

    server, settings, *reset = READ_ONLY.sql
    assert set_price() == 200
    stack.sql("alter database cacheaside set default_transaction_read_only = on")
    stack.sql(_NEW_SESSION.replace("_query", "_command"), user="postgres")
    assert set_price() == 503
    row = found(stack, "CommandFunction")
    assert (row["exception_name"], row["sqlstate"]) == ("RefusedForNow", "25006")
    assert "#a-database-that-is-read-only" in action_for("RefusedForNow", "25006")
    assert stack.sql(server) == [(False, "on", "database")]
    assert ("cacheaside", "-", ["default_transaction_read_only=on"]) in stack.sql(settings)
    stack.sql("; ".join(reset))
    assert set_price() == 200


def test_loads_without_the_cache_are_limited(stack: RunbookStack) -> None:
    with transaction(stack, "select pg_advisory_xact_lock(x'63616368'::integer, n) from generate_series(0, 9) as n"):
        assert stack.get("/queries/gift/direct?id=1").status == 503
    assert found(stack)["exception_name"] == "Overloaded"
    assert "DeveloperMode=off" in action_for("Overloaded", "", "…/direct")


def test_a_load_that_outlasts_the_wait(stack: RunbookStack) -> None:
    stack.get("/queries/waiting?id=1")
    with redis.Redis.from_url(stack.valkey.url) as client:
        [entry] = client.keys("cacheaside:entry:{waiting:*")
        client.delete(entry)
        client.set(entry.replace(b":entry:", b":lease:"), b"of a slow holder", px=60_000)
    stack.forget_logs()
    assert stack.get("/queries/waiting?id=1").status == 503
    assert found(stack)["exception_name"] == "WaitedTooLong"
    assert "#database-cpu" in action_for("WaitedTooLong")


def test_every_error_that_is_a_5xx_has_a_row() -> None:
    causes = " ".join(cause for cause, _ in API_ERRORS.causes)
    answered = [
        error
        for error in vars(errors).values()
        if isinstance(error, type)
        and issubclass(error, errors.CacheasideError)
        # The bases are never raised themselves, SettingsError ends the function, and a large entry is only left out.
        and error not in (errors.CacheasideError, errors.DatabaseError, errors.ConstraintViolated)
        and error not in (errors.SettingsError, errors.EntryTooLarge)
    ]
    missing = [
        error.__name__
        for error in answered
        if problem_of(error.__new__(error)).status >= 500 and f"`{error.__name__}`" not in causes
    ]
    assert missing == []


def test_the_reader_has_the_rights_of_a_master_user(stack: RunbookStack) -> None:
    """And no others: a superuser could do more than the runbook may ask for."""
    assert stack.sql("select current_user, rolsuper from pg_roles where rolname = current_user") == [(OWNER, False)]
