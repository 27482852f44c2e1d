"""An exception of any kind, at any step, leaves neither an open transaction nor an unread reply behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from types import FrameType
from typing import Any, Final

import psycopg2
import pytest
from psycopg2.extensions import cursor

from cacheaside.catalogue.statements import Command
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError
from cacheaside.reading.steps import Load
from cacheaside.settings import DatabaseSettings
from cacheaside.writing.idempotency import Idempotency
from local.servers.postgres import PostgresServer
from tests.component.support.question import question
from tests.component.support.sql import Sql
from tests.support.wait_until import wait_until

KINDS: Final[list[BaseException]] = [
    *(TypeError("an adapter"), ValueError("a value"), MemoryError(), RecursionError(), KeyError("a bug")),
    *(KeyboardInterrupt(), SystemExit(1), GeneratorExit(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")),
    *(psycopg2.Error("a"), psycopg2.Warning("b"), psycopg2.InterfaceError("c"), psycopg2.OperationalError("d")),
    *(psycopg2.ProgrammingError("e"), psycopg2.DataError("f"), psycopg2.InternalError("g")),
]
OPEN: Final = "select count(*) from pg_stat_activity where usename = %s and state <> 'idle'"


@contextmanager
def interrupted(error: BaseException) -> Iterator[None]:
    """Raise `error` wherever this thread is, 50 ms from now: it waits for PostgreSQL then."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise copy(error)  # one that was raised keeps its frames alive, and their connections

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("error", KINDS, ids=repr)
def test_next_statement_of_a_connection_gets_its_own_reply(
    database_settings: DatabaseSettings, error: Exception
) -> None:
    kept = KeptConnection(database_settings)

    def before(cur: cursor) -> None:
        raise copy(error)

    def unread(cur: cursor) -> None:
        cur.execute("begin; select 1")
        raise copy(error)

    for action in (before, unread):
        with pytest.raises((type(error), CacheasideError)):
            kept.run(action, 10)
        assert kept.run(_number, 10) == ("2", False)
    with pytest.raises((type(error), CacheasideError)), interrupted(error):
        kept.run(lambda cur: cur.execute("select 3 from pg_sleep(10)"), 10)
    assert kept.run(_number, 10) == ("2", False)


def _number(cur: cursor) -> tuple[str, bool]:
    """Return the reply, and whether it came from inside a transaction that was open before."""
    cur.execute("select '2', now() < statement_timestamp()")
    [(number, in_transaction)] = cur.fetchall()
    return number, in_transaction


@pytest.mark.parametrize("error", KINDS, ids=repr)
def test_next_load_gets_its_own_answer(database_settings: DatabaseSettings, error: Exception) -> None:
    queries = Queries(database_settings)
    with pytest.raises((type(error), CacheasideError)), interrupted(error):
        queries.load(Load(question("select 1 from pg_sleep(10)"), 20_000, bypass=False))
    answer = queries.load(Load(question("select 2 as it"), 10_000, bypass=False))
    assert json.loads(answer.body or b"")["data"] == [{"it": 2}]


class RaisesAt:
    """Raises an error in the n-th statement of a connection, when its reply has arrived."""

    def __init__(self, kept: KeptConnection, number: int, error: BaseException) -> None:
        self._run, self._left, self._error = kept.run, number, error
        kept.run = self.run  # type: ignore[method-assign]

    def run(self, action: Callable[[cursor], Any], limit_s: float) -> Any:
        self._left -= 1
        return self._run(self._failing(action) if self._left == 0 else action, limit_s)

    def _failing(self, action: Callable[[cursor], Any]) -> Callable[[cursor], Any]:
        def fail(cur: cursor) -> None:
            action(cur)
            raise copy(self._error)

        return fail


@pytest.mark.parametrize("error", KINDS, ids=repr)
@pytest.mark.parametrize("step", [1, 2, 3, 4], ids=["begin", "key", "run", "commit"])
def test_command_that_is_interrupted_is_not_committed_with_the_next(
    outbox_settings: DatabaseSettings, postgres: PostgresServer, sql: Sql, step: int, error: Exception
) -> None:
    commands = Commands(outbox_settings._replace(url=postgres.url_for("cacheaside_command")))
    fields: Any = {"summary": "", "returns": "many", "timeout_ms": 10_000, "parameters": {}}
    update = Command(name="u", sql="update products set price = price + 1 where id = 9 returning price", **fields)
    [(price,)] = sql("select price from products where id = 9")
    RaisesAt(commands._kept, step, error)
    with pytest.raises((type(error), CacheasideError)):
        commands.execute(update, {}, Idempotency("key", "fingerprint"))
    wait_until(lambda: sql(OPEN, "cacheaside_command") == [(0,)])  # the server notices a closed connection by itself
    assert commands.execute(Command(name="n", sql="select 2 as it", **fields), {}).body == b'{"data":[{"it":2}]}'
    committed = 1 if step == 4 else 0
    assert sql("select price from products where id = 9") == [(price + committed,)]
    assert sql("select count(*) from cacheaside.idempotency_keys") == [(committed,)]
