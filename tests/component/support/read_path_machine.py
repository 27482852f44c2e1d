"""A state machine that interleaves reads of a real cache with writes and faults, and a model that checks answers."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from cacheaside.catalogue.policy import FAILURE_MS, Policy, WaitedOut
from cacheaside.drivers.cache import cache as cache_module
from cacheaside.drivers.cache.cache import Cache
from cacheaside.errors import CacheasideError, CacheUnavailable, DatabaseUnavailable, StatementTimeout
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag, unpack
from cacheaside.reading.fill import ReadContext
from cacheaside.reading.outcome import Outcome
from cacheaside.reading.question import Question
from cacheaside.reading.read_path import read
from cacheaside.reading.steps import Acquire, Load, Loaded, Look, Release, Step, Store, Wait
from tests.component.support.question import question

__all__ = ["ENTRIES", "LEASES", "TAGS", "OneToken", "PausedRead", "ReadPathMachine", "TooOld", "VersionsAtStore"]

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
# Pauses that end within each window of the policies, and past each.
PAUSES_MS: Final = (50, 3_000, 25_000, 61_000, 100_000, 400_000)
ALL_STEPS: Final = 10  # only a read that waits has more steps


QUESTIONS: Final = tuple(
    question(f"select {row}", returns="one", timeout_ms=TIMEOUT_MS, tags=("rows", f"rows:{row}"), policy=POLICIES[row])
    for row in ROWS
)
ENTRIES: Final = tuple(each.keys.entry for each in QUESTIONS)
LEASES: Final = tuple(each.keys.lease for each in QUESTIONS)
TAGS: Final = tuple(dict.fromkeys(tag for each in QUESTIONS for tag in each.keys.tags))


class TooOld(AssertionError):
    """An answer is older than a write that was acknowledged before the read began."""


class Fault(Enum):
    """How a step fails."""

    NOT_DONE = "the step is not done"
    REPLY_LOST = "the step is done, and its reply is lost"
    CRASH = "the sandbox dies before the step"


FAULTS: Final = st.sampled_from((None,) * 7 + tuple(Fault))


@dataclass(eq=False)
class PausedRead:
    """A read or a refresh, stopped before `step`. A refresh answers no caller, so `oldest_version` is None."""

    row: int
    path: Generator[Step, Any, Any]
    step: Step
    oldest_version: int | None
    tokens: set[bytes] = field(default_factory=set)  # the tokens with which it may hold the lease
    cache_failed: bool = False

    def __repr__(self) -> str:
        kind = "refresh" if self.oldest_version is None else f"read of version {self.oldest_version} or later"
        return f"<{kind}, row {self.row}, before {type(self.step).__name__}>"


@dataclass(eq=False)
class Write:
    """A committed write whose caller has no response yet."""

    row: int
    version: int
    tags: tuple[str, ...]


class ReadPathMachine(RuleBasedStateMachine):
    """Its rules are the possible events. The model is `history` and `acknowledged`."""

    paused_reads = Bundle("paused_reads")
    writes = Bundle("writes")

    def __init__(self, cache: Cache, client: Any) -> None:
        super().__init__()
        self.cache = cache
        self.client = client
        self.client.flushall()
        self.now_ms = START_MS
        self.numbers = count(1)
        self.database_is_down = False
        self.history: list[list[bytes | None]] = [[self.body(row, 0)] for row in ROWS]  # by row and version
        self.acknowledged = [0 for _ in ROWS]

    def body(self, row: int, version: int) -> bytes:
        """Return the answer for this version. That of row 1 is large enough to be compressed."""
        return f'{{"row": {row}, "version": {version}, "text": "{"." * 2_000 * row}"}}'.encode()

    def token(self) -> bytes:
        return next(self.numbers).to_bytes(TOKEN_BYTES, "big")

    # Reads and refreshes

    @initialize(target=paused_reads)
    def begin_both(self) -> Any:
        return multiple(*(self.begin_now(row, 0.0) for row in ROWS))

    @rule(target=paused_reads, row=st.sampled_from(ROWS), chance=st.sampled_from((0.0, 0.5, 0.999)))
    def begin(self, row: int, chance: float) -> PausedRead:
        return self.begin_now(row, chance)

    def begin_now(self, row: int, chance: float) -> PausedRead:
        context = ReadContext(
            lambda: self.now_ms, lambda: self.now_ms, lambda: self.token(), lambda: chance, lambda: 29_000
        )
        path = read(QUESTIONS[row], context)
        return PausedRead(row, path, next(path), oldest_version=self.acknowledged[row])

    @rule(
        target=paused_reads, paused=consumes(paused_reads), steps=st.sampled_from((1, 1, 2, 3, ALL_STEPS)), fault=FAULTS
    )
    def advance(self, paused: PausedRead, steps: int, fault: Fault | None) -> Any:
        """Return the read if it is not at its end, the refresh that it was elected for, or nothing."""
        if fault is Fault.CRASH:
            paused.path.close()
            return multiple()
        return self.run(paused, steps if fault is None else 1, fault)

    @rule(target=paused_reads, paused=consumes(paused_reads))
    def step(self, paused: PausedRead) -> Any:
        return self.run(paused, 1, None)

    @rule(
        target=paused_reads,
        row=st.sampled_from(ROWS),
        after_ms=st.sampled_from((0, 0, *PAUSES_MS)),
        down=st.sampled_from((False,) * 7 + (True,)),
    )
    def ask(self, row: int, after_ms: int, down: bool) -> Any:
        """Do a whole read between two steps of other reads. If it must wait, it stops there."""
        self.now_ms += after_ms
        self.database_is_down = down
        try:
            return self.run(self.begin_now(row, 0.0), ALL_STEPS, None)
        finally:
            self.database_is_down = False

    def run(self, paused: PausedRead, steps: int, fault: Fault | None) -> Any:
        for _ in range(steps):
            result = self.attempt(paused, fault)
            try:
                if isinstance(result, CacheasideError):
                    paused.step = paused.path.throw(result)
                else:
                    paused.step = paused.path.send(result)
            except StopIteration as end:
                return self.ended(paused, end.value)
            except CacheasideError as error:
                self.check_failure(paused, error)
                self.check_lease_is_released(paused)
                return multiple()
            if isinstance(paused.step, Wait):
                break  # another read may be scheduled first
        return paused

    def attempt(self, paused: PausedRead, fault: Fault | None) -> object:
        """Do the step. An error is returned, because the read path decides what it means."""
        step = paused.step
        if isinstance(step, Acquire):
            paused.tokens.add(step.token)
        if fault is None or isinstance(step, Wait):
            return self.do(paused, step)
        if fault is Fault.REPLY_LOST:
            self.do(paused, step)
        if isinstance(step, Load):
            return DatabaseUnavailable("raised by the test")
        paused.cache_failed = True
        return CacheUnavailable("raised by the test")

    def do(self, paused: PausedRead, step: Step) -> object:
        match step:
            case Look():
                return self.cache.look(step)
            case Acquire():
                return self.cache.acquire(step)
            case Load():
                if step.renew is not None:
                    self.cache.renew(step.renew)
                if self.database_is_down:  # others share this failure, which tells the version that was not read
                    return StatementTimeout(str(len(self.history[paused.row]) - 1))
                return Loaded(self.history[paused.row][-1])
            case Store():
                return self.cache.store(step)
            case Release():
                self.cache.release(step)
            case Wait():
                self.now_ms += step.ms
        return None

    def ended(self, paused: PausedRead, value: Outcome | bool) -> Any:
        if isinstance(value, Outcome):
            self.check_answer(paused, value.entry)
            if value.refresh is not None:
                refresh = value.refresh.path
                return PausedRead(paused.row, refresh, next(refresh), None, paused.tokens, paused.cache_failed)
        self.check_lease_is_released(paused)
        return multiple()

    # Writes, time and lost data

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
        """Do a whole write between two steps of the reads."""
        self.invalidate_and_acknowledge(self.commit(row, False, "row"))

    @rule(ms=st.sampled_from(PAUSES_MS))
    def let_time_pass(self, ms: int) -> None:
        self.now_ms += ms

    @rule(what=st.sampled_from((*ENTRIES, *LEASES, *TAGS, "FLUSHALL", "SCRIPT FLUSH")))
    def lose(self, what: str) -> None:
        """A key expires or is evicted, or the server restarts without its data or scripts."""
        match what:
            case "FLUSHALL":
                self.client.flushall()
            case "SCRIPT FLUSH":
                self.client.script_flush()
            case key:
                self.client.delete(key)

    # Checks

    def check_answer(self, paused: PausedRead, entry: Entry) -> None:
        history, oldest_version = self.history[paused.row], paused.oldest_version
        body = entry.body if entry.body is None else unpack(entry.encoding, entry.body)
        assert body in history, "the answer was never committed"
        assert entry.etag == entity_tag(body)
        if oldest_version is not None and body not in history[oldest_version:]:
            newest = max(version for version, then in enumerate(history) if then == body)
            raise TooOld(f"row {paused.row} was answered as of version {newest}, not {oldest_version} or later")

    def check_failure(self, paused: PausedRead, error: CacheasideError) -> None:
        if isinstance(error, StatementTimeout) and paused.oldest_version is not None:
            assert int(str(error)) >= paused.oldest_version, "the failure of a load that an invalidation has ended"

    def check_lease_is_released(self, paused: PausedRead) -> None:
        if not paused.cache_failed:
            assert self.client.get(LEASES[paused.row]) not in paused.tokens, "the lease was not released"

    @invariant()
    def entries_are_readable_and_keys_expire_in_time(self) -> None:
        keys = (*ENTRIES, *LEASES, *TAGS)
        pipeline = self.client.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key).pttl(key)
        replies = pipeline.execute(raise_on_error=False)  # GET of another type is an error
        found = zip(keys, replies[::2], replies[1::2], strict=True)
        kept = {key: (value, ms) for key, value, ms in found if value and self.is_ours(value)}
        for each in QUESTIONS:
            self.check_entry(each, kept)
        for lease in LEASES:
            if lease in kept:
                assert 0 <= kept[lease][1] <= max(cache_module.LEASE_MS, FAILURE_MS)
        for tag in TAGS:
            if tag in kept:
                assert 0 <= kept[tag][1] <= max(policy.tag_ms for policy in POLICIES)

    def is_ours(self, value: object) -> bool:
        """Return whether a step of a read wrote the value."""
        return True

    def check_entry(self, asked: Question, kept: Mapping[str, tuple[bytes, int]]) -> None:
        policy = asked.query.policy
        if asked.keys.entry not in kept:
            return
        data, ms = kept[asked.keys.entry]
        entry = decode(data)
        assert entry is not None, "the entry cannot be decoded"
        fresh_ms = entry.fresh_until_ms - entry.created_ms
        assert fresh_ms <= (policy.negative_ttl_ms if entry.body is None else policy.ttl_ms)
        assert 0 <= ms <= policy.lifetime_ms(fresh_ms)
        for tag, version in zip(asked.keys.tags, entry.tag_versions, strict=True):
            if tag in kept and kept[tag][0] == version:
                assert kept[tag][1] >= ms, "the tag expires before the entry that needs it"


class OnlyAnswersChecked(ReadPathMachine):
    """Checks only that no answer is too old."""

    def check_lease_is_released(self, paused: PausedRead) -> None:
        pass

    def check_entry(self, asked: Question, kept: Mapping[str, tuple[bytes, int]]) -> None:
        pass


class VersionsAtStore(OnlyAnswersChecked):
    """Wrong on purpose: an entry is stored with the tag versions at the store, not those before the load."""

    def do(self, paused: PausedRead, step: Step) -> object:
        if isinstance(step, Store) and (entry := decode(step.entry)):
            for tag in step.keys.tags:
                self.client.set(tag, self.token(), nx=True, px=max(policy.tag_ms for policy in POLICIES))
            versions = tuple(self.client.get(tag) for tag in step.keys.tags)
            step = step._replace(entry=encode(entry._replace(tag_versions=versions)))
        return super().do(paused, step)


class OneToken(OnlyAnswersChecked):
    """Wrong on purpose: all fills and all tags have the same token."""

    def token(self) -> bytes:
        return b"t" * TOKEN_BYTES

    def do(self, paused: PausedRead, step: Step) -> object:
        if isinstance(step, Acquire):  # before the script, which would make another version
            for tag in step.keys.tags:
                self.client.set(tag, self.token(), nx=True, px=max(policy.tag_ms for policy in POLICIES))
        return super().do(paused, step)
