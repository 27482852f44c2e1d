"""A process dies while it holds the lease of a load. Those who wait for the load get an answer all the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any, Final

import pytest

from cacheaside.catalogue.policy import LEASE_MS, Policy
from cacheaside.clock import epoch_ms
from cacheaside.drivers.cache import cache as cache_module
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Acquire, Load, Step, Store
from cacheaside.settings import DatabaseSettings
from tests.component.support.cache_servers import CacheServer, settings_of
from tests.component.support.question import question
from tests.support.raising_servers import RaisingServers
from tests.support.wait_until import wait_until

# As deployed: a statement may run for as long as others wait for it, and its timeout is no measure of its time.
POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=600_000, wait_ms=10_000)
LATER_MS: Final = {"cold": 0, "stale": POLICY.ttl_ms + 5_000, "expired": POLICY.ttl_ms + POLICY.stale_ms + 5_000}

_fork = multiprocessing.get_context("fork")


class _Death(BaseException):
    """Kills this process in place of being raised."""


class KillingServers(RaisingServers):
    """Servers whose client is killed at one step."""

    def _do(self, method: Any, step: Step) -> Any:
        try:
            return super()._do(method, step)
        except _Death:
            os.kill(os.getpid(), signal.SIGKILL)


class Sandboxes:
    """Readers with connections of their own, in this process and in others."""

    def __init__(self, server: CacheServer, database: DatabaseSettings) -> None:
        self._server, self._database = server, database

    def read(
        self, asked: Question, later_ms: int = 0, *, dies_at: type[Step] | None = None, done: bool = False
    ) -> Source:
        cache: Any = Cache(settings_of(self._server))
        database: Any = Queries(self._database)
        try:
            if dies_at is not None:
                cache = database = KillingServers(cache, database, dies_at, _Death(), done=done)
            reader = Reader(cache, database, lambda: epoch_ms() + later_ms)
            outcome = reader.read(asked, lambda: 29_000).outcome
            if outcome.refresh is not None:
                reader.refresh(outcome.refresh)
            return outcome.source
        finally:
            if dies_at is None:
                cache.forget()
                database.forget()

    def start(self, asked: Question, later_ms: int = 0, **dies: Any) -> Any:
        process = _fork.Process(target=self.read, args=[asked, later_ms], kwargs=dies)
        process.start()
        return process


@pytest.fixture
def sandboxes(
    cache_server: CacheServer, plain_client: Any, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> Sandboxes:
    monkeypatch.setattr(cache_module, "LEASE_MS", LEASE_MS)  # that of production
    return Sandboxes(cache_server, database_settings)


def slow(seconds: float, number: int = 1) -> Question:
    """Return a question whose load takes so long. Each `number` is another question."""
    return question(f"select {number} as one from pg_sleep({seconds})", tags=("products",), policy=POLICY)


@pytest.mark.parametrize("later_ms", LATER_MS.values(), ids=LATER_MS)
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [Acquire, Load, Store], ids=lambda step: step.__name__)
def test_next_read_answers_after_a_holder_was_killed_at_any_step(
    sandboxes: Sandboxes, at: type[Step], done: bool, later_ms: int
) -> None:
    asked = question("select 1 as one", tags=("products",), policy=POLICY)
    if later_ms:
        sandboxes.read(asked)
    killed = sandboxes.start(asked, later_ms, dies_at=at, done=done)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    answered = sandboxes.read(asked, later_ms)
    assert answered is not Source.STALE_IF_ERROR
    assert answered is not Source.BYPASS


def test_waiters_answer_after_a_holder_was_killed_while_postgresql_ran_its_load(
    sandboxes: Sandboxes, plain_client: Any
) -> None:
    asked = slow(2)
    holder = sandboxes.start(asked)
    wait_until(lambda: plain_client.get(asked.keys.lease) is not None)
    waiters = [sandboxes.start(asked) for _ in range(3)]
    os.kill(holder.pid, signal.SIGKILL)
    for waiter in waiters:
        waiter.join()
    assert [waiter.exitcode for waiter in waiters] == [0, 0, 0]


def test_live_holder_keeps_its_lease_for_longer_than_a_lease_lasts(
    sandboxes: Sandboxes, plain_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease_s = 2 * LEASE_MS / 1000  # this machine may stop for a second
    monkeypatch.setattr(cache_module, "LEASE_MS", int(lease_s * 1000))

    def is_kept(number: int) -> bool:
        asked = slow(2 * lease_s, number)
        holder = sandboxes.start(asked)
        wait_until(lambda: plain_client.get(asked.keys.lease) is not None)
        answered = sandboxes.read(asked)
        holder.join()
        return answered is Source.COLLAPSED

    # A longer stop between two renewals loses the lease by chance. Without renewals it is lost each time.
    assert any(is_kept(number) for number in range(4))
