"""The read path on a real cache, against a model: whatever happens between two steps, no answer is too old.

Hypothesis is the scheduler. It has any number of reads under way at once, each stopped between two of its steps, which
are done on Valkey by the real driver. Meanwhile it writes, evicts, lets time pass, loses replies and kills readers.
Two machines that are wrong on purpose show that it would find an answer that is too old.

The explorer (bench/explorer) tries every interleaving of few actors on a model of the cache; this tries some of many
actors on the cache itself.

Keys have real lifetimes, of 12 s at least, but all time that a read knows of is the test's: no outcome depends on how
fast this machine is. A key expires when the test deletes it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from cacheaside.catalogue.policy import LEASE_MARGIN_MS, Policy, WaitedOut
from cacheaside.catalogue.statements import Query
from cacheaside.drivers.cache.cache import Cache
from cacheaside.errors import CacheasideError, CacheUnavailable, DatabaseUnavailable
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag, unpack
from cacheaside.reading.outcome import Outcome, Source
from cacheaside.reading.question import Question
from cacheaside.reading.read_path import ReadContext, read
from cacheaside.reading.steps import Acquire, Load, Loaded, Look, Release, Step, Store, Wait
from tests.component.support.cache_servers import client_of, settings_of

START_MS: Final = 1_000_000_000_000
TIMEOUT_MS: Final = 10_000

# Two rows of one table, read under different policies. They share a tag, which must outlive the entries of both.
POLICIES: Final = (
    Policy(
        ttl_ms=60_000, stale_ms=30_000, stale_if_error_ms=120_000, negative_ttl_ms=20_000, jitter=0.1, early_refresh=1
    ),
    Policy(ttl_ms=300_000, negative_ttl_ms=30_000, wait_ms=1_000, waited_out=WaitedOut.LOAD),
)
ROWS: Final = range(len(POLICIES))
# Within each window of the policies, past each, and a little of everything.
PAUSES_MS: Final = (50, 3_000, 25_000, 61_000, 100_000, 400_000)
AS_FAR_AS_IT_GETS: Final = 10  # no read has so many steps but those that wait


def question(row: int) -> Question:
    query = Query(
        name="row",
        summary="",
        sql=f"select {row}",
        returns="one",
        timeout_ms=TIMEOUT_MS,
        tags=("rows", f"rows:{row}"),
        parameters={},
        policy=POLICIES[row],
    )
    return Question(query, {})


QUESTIONS: Final = tuple(question(row) for row in ROWS)
ENTRIES: Final = tuple(bound.keys.entry for bound in QUESTIONS)
LEASES: Final = tuple(bound.keys.lease for bound in QUESTIONS)
TAGS: Final = tuple(dict.fromkeys(tag for bound in QUESTIONS for tag in bound.keys.tags))


class TooOld(AssertionError):
    """An answer did not show what had been acknowledged before it was asked for."""


class Fault(Enum):
    """What becomes of a step that fails."""

    NOT_DONE = "it was never done"
    NOT_HEARD = "it was done, and the reply was lost"
    CRASH = "whoever asked for it is gone"


FAULTS: Final = st.sampled_from((None,) * 7 + tuple(Fault))


@dataclass(eq=False)
class Flight:
    """A read or a refresh, stopped before `step`. A refresh answers nobody, so it has no `floor`."""

    row: int
    path: Generator[Step, Any, Any]
    step: Step
    floor: int | None
    tokens: set[bytes] = field(default_factory=set)  # under which it may hold the lease
    disturbed: bool = False  # the cache has failed it

    def __repr__(self) -> str:
        kind = "refresh" if self.floor is None else f"read, floor {self.floor}"
        return f"<{kind}, row {self.row}, before {type(self.step).__name__}>"


@dataclass(eq=False)
class Write:
    """A write that has committed, and whose writer still waits."""

    row: int
    version: int
    tags: tuple[str, ...]


class ReadPath(RuleBasedStateMachine):
    """The rules are what can happen, the model is `history` and `acknowledged`."""

    flights = Bundle("flights")
    writes = Bundle("writes")

    def __init__(self, cache: Cache, side: Any) -> None:
        super().__init__()
        self.cache = cache
        self.side = side
        self.side.flushall()
        self.now_ms = START_MS
        self.numbers = count(1)
        self.database_is_down = False
        self.history: list[list[bytes | None]] = [[self.body(row, 0)] for row in ROWS]  # by row and version
        self.acknowledged = [0 for _ in ROWS]

    def body(self, row: int, version: int) -> bytes:
        """Row 1 is large enough to be compressed."""
        return f'{{"row": {row}, "version": {version}, "text": "{"." * 2_000 * row}"}}'.encode()

    def token(self) -> bytes:
        return next(self.numbers).to_bytes(TOKEN_BYTES, "big")

    # Reads and refreshes

    @initialize(target=flights)
    def begin_both(self) -> Any:
        return multiple(*(self.begin_now(row, 0.0) for row in ROWS))

    @rule(target=flights, row=st.sampled_from(ROWS), chance=st.sampled_from((0.0, 0.5, 0.999)))
    def begin(self, row: int, chance: float) -> Flight:
        return self.begin_now(row, chance)

    def begin_now(self, row: int, chance: float) -> Flight:
        context = ReadContext(lambda: self.now_ms, lambda: self.token(), lambda: chance, lambda: 29_000)
        path = read(QUESTIONS[row], context)
        return Flight(row, path, next(path), floor=self.acknowledged[row])

    @rule(
        target=flights, flight=consumes(flights), steps=st.sampled_from((1, 1, 2, 3, AS_FAR_AS_IT_GETS)), fault=FAULTS
    )
    def advance(self, flight: Flight, steps: int, fault: Fault | None) -> Any:
        """What is under way afterwards: the same flight, the refresh it was elected to, or nothing."""
        if fault is Fault.CRASH:
            flight.path.close()
            return multiple()
        return self.run(flight, steps if fault is None else 1, fault)

    @rule(target=flights, flight=consumes(flights))
    def step(self, flight: Flight) -> Any:
        return self.run(flight, 1, None)

    @rule(
        target=flights,
        row=st.sampled_from(ROWS),
        after_ms=st.sampled_from((0, 0, *PAUSES_MS)),
        down=st.sampled_from((False,) * 7 + (True,)),
    )
    def ask(self, row: int, after_ms: int, down: bool) -> Any:
        """A whole read, between two steps of the others; if it has to wait, that is where it stops."""
        self.now_ms += after_ms
        self.database_is_down = down
        try:
            return self.run(self.begin_now(row, 0.0), AS_FAR_AS_IT_GETS, None)
        finally:
            self.database_is_down = False

    def run(self, flight: Flight, steps: int, fault: Fault | None) -> Any:
        for _ in range(steps):
            result = self.attempt(flight, fault)
            try:
                if isinstance(result, CacheasideError):
                    flight.step = flight.path.throw(result)
                else:
                    flight.step = flight.path.send(result)
            except StopIteration as end:
                return self.ended(flight, end.value)
            except CacheasideError:
                # A refresh that fails keeps the lease to its end, on purpose: until then nobody tries again.
                if flight.floor is not None:
                    self.check_lease_is_back(flight)
                return multiple()
            if isinstance(flight.step, Wait):
                break  # for somebody else, who may come first
        return flight

    def attempt(self, flight: Flight, fault: Fault | None) -> object:
        """Do the flight's step. What it raises is returned, because it is the read path that decides what it means."""
        step = flight.step
        if isinstance(step, Acquire):
            flight.tokens.add(step.token)
        if fault is None or isinstance(step, Wait):
            return self.do(flight, step)
        if fault is Fault.NOT_HEARD:
            self.do(flight, step)
        if isinstance(step, Load):
            return DatabaseUnavailable("the test says so")
        flight.disturbed = True
        return CacheUnavailable("the test says so")

    def do(self, flight: Flight, step: Step) -> object:
        match step:
            case Look():
                return self.cache.look(step)
            case Acquire():
                return self.cache.acquire(step)
            case Load():
                if self.database_is_down:
                    return DatabaseUnavailable("the test says so")
                return Loaded(self.history[flight.row][-1])
            case Store():
                return self.cache.store(step)
            case Release():
                self.cache.release(step)
            case Wait():
                self.now_ms += step.ms
        return None

    def ended(self, flight: Flight, value: Outcome | bool) -> Any:
        if isinstance(value, Outcome):
            self.check_answer(flight, value.entry)
            if value.refresh is not None:
                refresh = value.refresh
                return Flight(flight.row, refresh, next(refresh), None, flight.tokens, flight.disturbed)
            if value.source is Source.STALE_IF_ERROR:
                return multiple()  # the lease stays, so that not every request tries the same again
        self.check_lease_is_back(flight)
        return multiple()

    # The rest of the world

    @rule(target=writes, row=st.sampled_from(ROWS), deletes=st.booleans(), tags=st.sampled_from(("row", "table")))
    def commit(self, row: int, deletes: bool, tags: str) -> Write:
        version = len(self.history[row])
        self.history[row].append(None if deletes else self.body(row, version))
        return Write(row, version, (f"rows:{row}",) if tags == "row" else ("rows",))

    @rule(write=consumes(writes))
    def invalidate_and_acknowledge(self, write: Write) -> None:
        self.cache.invalidate_tags(write.tags)
        self.acknowledged[write.row] = max(self.acknowledged[write.row], write.version)

    @rule(row=st.sampled_from(ROWS))
    def write(self, row: int) -> None:
        """A whole write, between two steps of the others."""
        self.invalidate_and_acknowledge(self.commit(row, False, "row"))

    @rule(ms=st.sampled_from(PAUSES_MS))
    def let_time_pass(self, ms: int) -> None:
        self.now_ms += ms

    @rule(what=st.sampled_from((*ENTRIES, *LEASES, *TAGS, "FLUSHALL", "SCRIPT FLUSH")))
    def lose(self, what: str) -> None:
        """A key expires or is evicted, or a server comes back with nothing."""
        match what:
            case "FLUSHALL":
                self.side.flushall()
            case "SCRIPT FLUSH":
                self.side.script_flush()
            case key:
                self.side.delete(key)

    # What must always be so

    def check_answer(self, flight: Flight, entry: Entry) -> None:
        history, floor = self.history[flight.row], flight.floor
        body = entry.body if entry.body is None else unpack(entry.encoding, entry.body)
        assert body in history, "never committed"
        assert entry.etag == entity_tag(body)
        if floor is not None and body not in history[floor:]:
            newest = max(version for version, then in enumerate(history) if then == body)
            raise TooOld(f"row {flight.row} was answered as of version {newest}, not {floor} or later")

    def check_lease_is_back(self, flight: Flight) -> None:
        if not flight.disturbed:
            assert self.side.get(LEASES[flight.row]) not in flight.tokens, "the lease was left behind"

    @invariant()
    def what_is_kept_is_readable_and_ends_in_time(self) -> None:
        keys = (*ENTRIES, *LEASES, *TAGS)
        pipeline = self.side.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key).pttl(key)
        replies = pipeline.execute()
        kept = {key: (value, ms) for key, value, ms in zip(keys, replies[::2], replies[1::2], strict=True) if value}
        for bound in QUESTIONS:
            self.check_entry(bound, kept)
        for lease in LEASES:
            if lease in kept:
                assert 0 <= kept[lease][1] <= TIMEOUT_MS + LEASE_MARGIN_MS
        for tag in TAGS:
            if tag in kept:
                assert 0 <= kept[tag][1] <= max(policy.tag_ms for policy in POLICIES)

    def check_entry(self, bound: Question, kept: Mapping[str, tuple[bytes, int]]) -> None:
        policy = bound.query.policy
        if bound.keys.entry not in kept:
            return
        data, ms = kept[bound.keys.entry]
        entry = decode(data)
        assert entry is not None, "nobody can read it"
        fresh_ms = entry.fresh_until_ms - entry.created_ms
        assert fresh_ms <= (policy.negative_ttl_ms if entry.body is None else policy.ttl_ms)
        assert 0 <= ms <= policy.lifetime_ms(fresh_ms)
        for tag, version in zip(bound.keys.tags, entry.tag_versions, strict=True):
            if tag in kept and kept[tag][0] == version:
                assert kept[tag][1] >= ms, "the tag ends before the answer that needs it"


class Broken(ReadPath):
    """Where only the answers are looked at."""

    def check_lease_is_back(self, flight: Flight) -> None:
        pass

    def check_entry(self, bound: Question, kept: Mapping[str, tuple[bytes, int]]) -> None:
        pass


class VersionsAtStore(Broken):
    """Wrong on purpose: an entry is stored with the tag versions of that moment, not of the one before the load."""

    def do(self, flight: Flight, step: Step) -> object:
        if isinstance(step, Store) and (entry := decode(step.entry)):
            for tag in step.keys.tags:
                self.side.set(tag, self.token(), nx=True, px=max(policy.tag_ms for policy in POLICIES))
            versions = tuple(self.side.get(tag) for tag in step.keys.tags)
            step = replace(step, entry=encode(replace(entry, tag_versions=versions)))
        return super().do(flight, step)


class OneToken(Broken):
    """Wrong on purpose: each fill and each tag gets the same token as all others."""

    def token(self) -> bytes:
        return b"t" * TOKEN_BYTES


SETTINGS: Final = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture
def parts(cache_server: Any) -> Iterator[tuple[Cache, Any]]:
    """The driver, and a client from the side."""
    with client_of(cache_server) as side:
        yield Cache(settings_of(cache_server)), side


def run(machine: type[ReadPath], parts: tuple[Cache, Any], how: settings) -> None:
    factory: Any = lambda: machine(*parts)  # noqa: E731 - Hypothesis takes what makes a machine, and says it wants a type
    run_state_machine_as_test(factory, settings=how)


def test_no_answer_is_too_old(parts: tuple[Cache, Any]) -> None:
    run(ReadPath, parts, SETTINGS)


@pytest.mark.parametrize("wrong", [VersionsAtStore, OneToken])
def test_answer_that_is_too_old_would_be_found(parts: tuple[Cache, Any], wrong: type[ReadPath]) -> None:
    # Always the same examples, and the first that shows it will do.
    search = settings(SETTINGS, max_examples=3_000, derandomize=True, phases=[Phase.generate])
    with pytest.raises(TooOld):
        run(wrong, parts, search)
