"""Servers and sandboxes that are killed or frozen, at a random instant or in the middle of a load or a write."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg2

from local.servers.server import Server
from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.consistency.cache_faults import ReplicatedUnderTest
from proofs.consistency.register import TABLE

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["PROCESS_FAULTS"]

ServerOf = Callable[["ChaosStack", random.Random], Server]

_DEAD_S: Final = (0.2, 1.5)
_FROZEN_S: Final = (0.3, 3.0)
_DEATHS: Final = 3
_BETWEEN_DEATHS_S: Final = (0.05, 0.4)
_REACHED_WITHIN_S: Final = 3.0  # a load or a write gets to the instant at which its sandbox is to be killed
_FUNCTIONS: Final = ("QueryFunction", "CommandFunction", "InvalidateFunction")
# The connections of the functions. Each is served by one process of PostgreSQL.
_BACKENDS: Final = r"select pid from pg_stat_activity where usename like 'cacheaside\_%' order by pid"
_WAITS_FOR_LOCK: Final = "select exists (select from pg_locks where not granted)"
_COMMITTED_UNDRAINED: Final = "select exists (select from cacheaside.outbox where drained_at is null)"


def _kill_server(server_of: ServerOf, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    server = server_of(stack, rng)
    server.kill()
    try:
        yield rng.uniform(*_DEAD_S)
    finally:
        server.start()


def _freeze_server(server_of: ServerOf, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    server = server_of(stack, rng)
    server.freeze()
    try:
        yield rng.uniform(*_FROZEN_S)
    finally:
        server.thaw()


def _node(stack: ChaosStack, rng: random.Random) -> Server:
    return rng.choice(stack.cache.nodes)


def _database(stack: ChaosStack, rng: random.Random) -> Server:
    return stack.postgres


def _replica(stack: ChaosStack, rng: random.Random) -> Server:
    return _pair(stack).servers.replica


def _pair(stack: ChaosStack) -> ReplicatedUnderTest:
    if not isinstance(stack.cache, ReplicatedUnderTest):
        raise TypeError(f"a cache of kind {stack.kind} has no replica")
    return stack.cache


def _fail_over(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    _pair(stack).replace_primary()
    yield 0.0


def _fail_over_behind(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    pair = _pair(stack)
    pair.servers.cut_replication()
    try:
        yield rng.uniform(0.1, 1.0)
    finally:
        pair.replace_primary()


def _kill_backend(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Kill one process of PostgreSQL. It then ends all connections, and recovers."""
    _signal_backend(stack, rng, signal.SIGKILL)
    yield 0.5


def _freeze_backend(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    backend = _signal_backend(stack, rng, signal.SIGSTOP)
    try:
        yield rng.uniform(*_FROZEN_S)
    finally:
        _signal([backend], signal.SIGCONT)


def _signal_backend(stack: ChaosStack, rng: random.Random, number: signal.Signals) -> int:
    with closing(psycopg2.connect(stack.owner_url)) as connection, connection.cursor() as cursor:
        cursor.execute(_BACKENDS)
        backends = [pid for (pid,) in cursor.fetchall()] or [connection.info.backend_pid]
        backend: int = rng.choice(backends)
        os.kill(backend, number)
    return backend


def _kill_sandboxes(function: str, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Kill some sandboxes of one function, each at a random instant."""
    for _ in range(_DEATHS):
        if sandboxes := stack.sandboxes(function):
            _signal([rng.choice(sandboxes)], signal.SIGKILL)
        yield rng.uniform(*_BETWEEN_DEATHS_S)


def _kill_loading(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Kill each sandbox that reads while loads wait for a lock, so that leases remain whose holders are dead."""
    with closing(psycopg2.connect(stack.owner_url)) as holder, holder, holder.cursor() as cursor:
        cursor.execute(f"lock table {TABLE} in access exclusive mode")
        _await(stack, _WAITS_FOR_LOCK)
        _signal(stack.sandboxes("QueryFunction"), signal.SIGKILL)
    yield 0.5


def _kill_committed(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Kill each sandbox that writes while a silent cache keeps one between its COMMIT and the invalidation."""
    for node in stack.cache.nodes:
        node.freeze()
    try:
        _await(stack, _COMMITTED_UNDRAINED)
        _signal(stack.sandboxes("CommandFunction"), signal.SIGKILL)
    finally:
        for node in stack.cache.nodes:
            node.thaw()
    yield 0.5


def _await(stack: ChaosStack, condition: str) -> None:
    """Return when the statement `condition` returns true. If no request comes to that, return after some seconds."""
    deadline = time.monotonic() + _REACHED_WITHIN_S
    while time.monotonic() < deadline:
        with (
            suppress(psycopg2.OperationalError),  # another fault may hit the database meanwhile
            closing(psycopg2.connect(stack.owner_url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(condition)
            if cursor.fetchone() == (True,):
                return
        time.sleep(0.005)


def _freeze_sandboxes(function: str, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Freeze half of the sandboxes of one function. Some may hold a lease, which another one takes over."""
    sandboxes = stack.sandboxes(function)
    frozen = rng.sample(sandboxes, (len(sandboxes) + 1) // 2)
    _signal(frozen, signal.SIGSTOP)
    try:
        yield rng.uniform(*_FROZEN_S)
    finally:
        _signal(frozen, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, number)


_PAIR: Final = frozenset({"pair"})

PROCESS_FAULTS: Final[Sequence[Fault]] = (
    Fault("cache killed, and started again empty", "cache", partial(_kill_server, _node)),
    Fault("cache frozen", "cache", partial(_freeze_server, _node)),
    Fault("replica of the cache killed", "cache", partial(_kill_server, _replica), _PAIR),
    Fault("replica of the cache frozen", "cache", partial(_freeze_server, _replica), _PAIR),
    Fault("cache failed over", "cache", _fail_over, _PAIR),
    Fault("cache failed over to a replica that lagged", "cache", _fail_over_behind, _PAIR),
    Fault("PostgreSQL killed", "database", partial(_kill_server, _database)),
    Fault("PostgreSQL frozen", "database", partial(_freeze_server, _database)),
    Fault("one process of PostgreSQL killed", "database", _kill_backend),
    Fault("one process of PostgreSQL frozen", "database", _freeze_backend),
    *(Fault(f"sandboxes of {name} killed", "functions", partial(_kill_sandboxes, name)) for name in _FUNCTIONS),
    *(Fault(f"sandboxes of {name} frozen", "functions", partial(_freeze_sandboxes, name)) for name in _FUNCTIONS),
    Fault("sandboxes killed while they load", "database", _kill_loading),
    Fault("sandboxes killed between COMMIT and invalidation", "cache", _kill_committed),
)
