"""A database that restarts, refuses connections or writes, has a full disk, or makes statements wait or fail."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2.extensions import connection as Connection

from local.servers.postgres import PostgresServer
from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.consistency.register import TABLE

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["DATABASE_FAULTS"]

_LASTS_S: Final = (1.0, 4.0)
_LOCKED_S: Final = (0.5, 6.0)  # some statements wait longer than their timeout
_DOWN_S: Final = (0.1, 1.0)
_HELD_S: Final = (1.0, 3.0)
_REPEATED_S: Final = 2.0
_BETWEEN_S: Final = 0.05
_ANSWERS_WITHIN_S: Final = 5.0

# A role of the functions, so that the connections that PostgreSQL reserves for superusers remain.
_HOLDER: Final = "cacheaside_query"
_OF_FUNCTIONS: Final = r"usename like 'cacheaside\_%'"
_END_ALL: Final = f"select pg_terminate_backend(pid) from pg_stat_activity where {_OF_FUNCTIONS}"
_END_OTHERS: Final = f"{_END_ALL} and application_name <> 'holder'"
_CANCEL_ALL: Final = f"select pg_cancel_backend(pid) from pg_stat_activity where {_OF_FUNCTIONS} and state = 'active'"


def _restart(number: signal.Signals, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Stop the server by `number`, SIGINT for a fast shutdown or SIGQUIT for an immediate one, and start it again."""
    os.kill(stack.postgres.pid, number)
    stack.postgres.stop()
    try:
        yield rng.uniform(*_DOWN_S)
    finally:
        stack.postgres.start()


def _out_of_connections(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Take all connections that a role of the functions can have, also those that the functions had."""
    with ExitStack() as held, closing(_superuser(stack)) as owner, owner.cursor() as cursor:
        url = stack.postgres.url_for(_HOLDER)
        ended = True
        while ended:
            with suppress(psycopg2.OperationalError):
                while True:
                    held.enter_context(closing(psycopg2.connect(url, application_name="holder")))
            cursor.execute(_END_OTHERS)
            ended = bool(cursor.rowcount)
        yield rng.uniform(*_HELD_S)


def _read_only(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    with closing(_superuser(stack)) as owner, owner.cursor() as cursor:
        try:
            cursor.execute("alter system set default_transaction_read_only = on")
            cursor.execute("select pg_reload_conf()")
            yield rng.uniform(*_LASTS_S)
        finally:
            cursor.execute("alter system reset default_transaction_read_only")
            cursor.execute("select pg_reload_conf()")


def _disk_full(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Fill the file system of the data. If PostgreSQL ends because of it, it is started again, as by an operator."""
    ballast = stack.postgres.folder / "ballast"
    try:
        with ballast.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        yield rng.uniform(*_LASTS_S)
    finally:
        ballast.unlink()
        _revive(stack.postgres)


def _revive(server: PostgresServer) -> None:
    deadline = time.monotonic() + _ANSWERS_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(psycopg2.OperationalError), closing(psycopg2.connect(server.url)):
            return
        time.sleep(0.1)
    server.restart()


def _has_small_disk(stack: ChaosStack) -> str | None:
    return None if stack.disk_is_limited else "needs root, which can mount a small file system for the data"


def _lock(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Hold the lock of a DDL statement. Reads and writes of the table wait."""
    with closing(psycopg2.connect(stack.owner_url)) as owner, owner.cursor() as cursor:
        cursor.execute(f"lock table {TABLE} in access exclusive mode")
        yield rng.uniform(*_LOCKED_S)


def _long_transaction(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Keep rows locked as a writer does that takes long to commit. It gives them no new value."""
    with closing(psycopg2.connect(stack.owner_url)) as owner, owner.cursor() as cursor:
        cursor.execute(f"update {TABLE} set value = value where id %% %s = 0", [rng.choice((1, 2, 5))])
        yield rng.uniform(*_LOCKED_S)
        if rng.random() < 0.5:
            owner.commit()


def _repeat(statement: str, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Cancel all statements, or end all connections, of the functions again and again."""
    until = time.monotonic() + _REPEATED_S
    with closing(_superuser(stack)) as owner, owner.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(statement)
            yield _BETWEEN_S


def _superuser(stack: ChaosStack) -> Connection:
    connection = psycopg2.connect(stack.owner_url)
    connection.autocommit = True
    return connection


def _fault(name: str, inject: Callable[[ChaosStack, random.Random], FaultSteps]) -> Fault:
    return Fault(name, "database", inject)


DATABASE_FAULTS: Final[Sequence[Fault]] = (
    _fault("PostgreSQL restarted (fast)", partial(_restart, signal.SIGINT)),
    _fault("PostgreSQL restarted (immediate)", partial(_restart, signal.SIGQUIT)),
    _fault("PostgreSQL out of connections", _out_of_connections),
    _fault("PostgreSQL read-only", _read_only),
    Fault("disk of PostgreSQL full", "database", _disk_full, needs=_has_small_disk),
    _fault("table locked, as by a DDL statement", _lock),
    _fault("rows locked by a long transaction", _long_transaction),
    _fault("statements cancelled, as by a timeout", partial(_repeat, _CANCEL_ALL)),
    _fault("connections ended by an operator", partial(_repeat, _END_ALL)),
)
