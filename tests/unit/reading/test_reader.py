"""The loop around the read path: which driver does each step, what it tells them, and the times that it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.catalogue.policy import LEASE_MS
from cacheaside.errors import CacheUnavailable, DatabaseError, Overloaded
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.outcome import Source
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Answer, Reader
from cacheaside.reading.steps import Acquire, Acquired, Load, Loaded, Look, Looked, Release, Renew, Store
from tests.unit.reading.test_direct_read import QUERY
from tests.unit.support.one_read import VERSION

NOW_MS = 1_000_000
NAME = QUERY.name


class Servers:
    """A cache and a database, and the clock that their steps advance: by 0.001 s each, a load by 0.1 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 50.0
        self.steps: list[object] = []
        self.entry: bytes | None = None
        self.lease: bytes | None = None
        self.cache_error: Exception | None = None
        self.database_error: DatabaseError | None = None
        self.renew_error: Exception | None = None
        self.at_sleep: Callable[[], object] = lambda: None
        self.slept: list[float] = []
        self.told: list[object] = []
        self.held: list[object] = []
        monkeypatch.setattr("cacheaside.reading.reader.time", self)
        self.reader = Reader(
            self,
            self,
            self.now_ms,
            self.now_ms,
            note_load=lambda *told: self.told.append(told),
            note_overload=lambda: self.told.append("overload"),
        )

    def read(self, **rules: Any) -> Answer:
        policy = QUERY.policy._replace(**{"local_ms": 0, "jitter": 0.0, **rules})
        return self.reader.read(Question(QUERY._replace(policy=policy), {}), lambda: 29_000)

    def now_ms(self) -> int:
        return NOW_MS + round((self.now_s - 50.0) * 1000)

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        self.at_sleep()

    def _do(self, step: object) -> None:
        self.steps.append(step)
        self.now_s += 0.001
        if self.cache_error is not None:
            raise self.cache_error

    def look(self, step: Look) -> Looked:
        self._do(step)
        return Looked(self.entry, self.lease, (VERSION,))

    def acquire(self, step: Acquire) -> Acquired:
        self._do(step)
        won = self.lease is None
        self.lease = self.lease or step.token
        return Acquired(won, Looked(self.entry, self.lease, (VERSION,)))

    def renew(self, step: Renew) -> bool:
        self.steps.append(step)
        self.now_s += 0.001
        if self.renew_error is not None:
            raise self.renew_error
        return True

    def store(self, step: Store) -> bool:
        self._do(step)
        self.entry, self.lease = step.entry, None
        return True

    def release(self, step: Release) -> None:
        self._do(step)
        self.lease = None

    def load(self, step: Load, renew: Callable[[], object] | None = None) -> Loaded:
        self.steps.append(step)
        self.now_s += 0.1
        self.held.append(renew and renew())
        if self.database_error is not None:
            raise self.database_error
        return Loaded(b"{}")

    @property
    def kinds(self) -> list[type]:
        return [type(step) for step in self.steps]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    return Servers(monkeypatch)


def test_times_of_cache_and_database_are_apart_and_in_milliseconds(servers: Servers) -> None:
    answer = servers.read()
    assert servers.kinds == [Look, Acquire, Load, Renew, Store]
    assert (answer.cache_ms, answer.database_ms, answer.total_ms) == pytest.approx(
        (3, 101, 104)
    )  # the renewal counts once
    assert answer.at_ms == NOW_MS + 104
    again = servers.read()
    assert (again.outcome.source, again.database_ms) == (Source.HIT, None)
    assert (again.cache_ms, again.total_ms) == pytest.approx((1, 1))


def test_wait_for_another_request_is_no_time_of_the_cache(servers: Servers) -> None:
    servers.read()
    entry, servers.entry, servers.lease = servers.entry, None, b"x" * 16
    servers.steps.clear()
    servers.at_sleep = lambda: setattr(servers, "entry", entry)
    answer = servers.read()
    assert answer.outcome.source is Source.COLLAPSED
    assert servers.kinds == [Look, Acquire, Look]
    assert answer.cache_ms == pytest.approx(3)
    assert answer.total_ms == pytest.approx(3 + servers.slept[0] * 1000)
    assert servers.slept[0] * 1_000 in map(pytest.approx, range(5, 15))


def test_load_time_of_every_answer_is_told_to_the_cache_driver(servers: Servers) -> None:
    servers.read()
    servers.read()
    assert servers.told == [(NAME, 101), (NAME, 101)]


def test_answer_kept_in_the_process_needs_no_step_for_its_time(servers: Servers) -> None:
    first = servers.read(local_ms=1_000)
    servers.steps.clear()
    answer = servers.read(local_ms=1_000)
    assert (answer.outcome.source, answer.outcome.entry) == (Source.LOCAL, first.outcome.entry)
    assert (servers.steps, len(servers.told)) == ([], 1)
    servers.now_s += 1
    assert servers.read(local_ms=1_000).outcome.source is Source.HIT


def test_answer_is_not_kept_in_the_process_unless_its_query_says_so(servers: Servers) -> None:
    servers.read()
    assert servers.read(local_ms=1_000).outcome.source is Source.HIT


def test_tokens_are_random_and_as_long_as_the_format_has_it(servers: Servers) -> None:
    servers.read()
    servers.entry = None
    servers.read()
    acquires = [step for step in servers.steps if isinstance(step, Acquire)]
    tokens = [token for step in acquires for token in (step.token, *step.seeds)]
    assert {len(token) for token in tokens} == {TOKEN_BYTES}
    assert len(set(tokens)) == len(tokens) == 4


def test_lease_is_renewed_under_its_token_and_a_renewal_that_fails_does_not_end_the_load(servers: Servers) -> None:
    servers.renew_error = CacheUnavailable("no reply")
    assert servers.read().outcome.stored
    acquire, renew = (next(step for step in servers.steps if isinstance(step, kind)) for kind in (Acquire, Renew))
    assert (renew.keys, renew.token) == (acquire.keys, acquire.token)
    assert servers.held == [servers.renew_error]


def test_load_without_a_lease_renews_nothing(servers: Servers) -> None:
    servers.cache_error = CacheUnavailable("gone")
    assert servers.read().outcome.source is Source.BYPASS
    assert (servers.kinds, servers.held) == ([Look, Load], [None])


@pytest.mark.parametrize(("error", "told"), [(Overloaded("full"), ["overload"]), (DatabaseError("other"), [])])
def test_cache_driver_is_told_that_the_database_has_no_room_for_a_bypass(
    servers: Servers, error: DatabaseError, told: list[str]
) -> None:
    servers.cache_error, servers.database_error = CacheUnavailable("gone"), error
    with pytest.raises(type(error)):
        servers.read()
    assert servers.told == told


@pytest.mark.parametrize("release_error", [None, CacheUnavailable("gone")])
def test_interrupt_of_a_load_gives_the_lease_back_and_is_reported(
    servers: Servers, release_error: Exception | None
) -> None:
    def interrupted(*_: object) -> Loaded:
        servers.cache_error = release_error
        raise KeyboardInterrupt

    servers.load = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        servers.read()
    acquire, release = servers.steps[-2:]
    assert isinstance(acquire, Acquire)
    assert release == Release(acquire.keys, acquire.token)


def test_refresh_that_will_not_run_gives_its_lease_back(servers: Servers) -> None:
    servers.read()
    servers.now_s += 70
    refresh = servers.read(stale_ms=60_000).outcome.refresh
    assert refresh is not None
    assert servers.lease == refresh.release.token
    servers.reader.release(refresh)
    assert (servers.lease, servers.steps[-1]) == (None, refresh.release)


def test_refresh_stores_a_newer_answer(servers: Servers) -> None:
    servers.read()
    before = servers.entry
    servers.now_s += 70
    refresh = servers.read(stale_ms=60_000).outcome.refresh
    assert refresh is not None
    assert servers.reader.refresh(refresh) is True
    assert servers.entry != before
    assert servers.read(stale_ms=60_000).outcome.source is Source.HIT


def test_read_that_waits_ends_by_the_clock_that_is_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(monkeypatch)
    servers.lease = b"x" * 16
    servers.reader = Reader(servers, servers, lambda: NOW_MS, servers.now_ms)
    with pytest.raises(Exception, match="takes longer than this one may wait"):
        servers.read(wait_ms=LEASE_MS)
    assert sum(servers.slept) == pytest.approx(1, abs=0.1)
