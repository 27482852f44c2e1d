"""The steps that the read path asks for, and the result that it is sent for each.

A step is one round trip. The read path yields it and is sent the result named beside it. If it fails, its error is
thrown into the read path at that point. Drivers implement the protocols at the end; nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import Keys
from cacheaside.reading.question import Question

__all__ = [
    "Acquire",
    "Acquired",
    "Admission",
    "EntryStore",
    "Load",
    "Loaded",
    "Loader",
    "Look",
    "Looked",
    "Release",
    "Renew",
    "Step",
    "Store",
    "Wait",
]


class Look(NamedTuple):
    """Read entry, lease and tags at one instant. Sent: `Looked`. Raises CacheUnavailable.

    `is_last_chance`: PostgreSQL cannot answer. So the cache is asked even if it failed lately, and may take its time.
    """

    keys: Keys
    is_last_chance: bool = False


class Looked(NamedTuple):
    """The values found; None for a key that is missing, or no string. `tags` has the order of `Keys.tags`."""

    entry: bytes | None
    lease: bytes | None
    tags: tuple[bytes | None, ...]

    @property
    def is_held(self) -> bool:
        """Whether the value under the lease key is a token. Acquire replaces any other value."""
        return self.lease is not None and len(self.lease) == TOKEN_BYTES


class Admission(NamedTuple):
    """Asks whether there is room for one more new answer of a query, and takes it.

    There is room for one each `every_us` microseconds, and at most for those of `saved_us` together.
    """

    key: str
    every_us: int
    saved_us: int


class Acquire(NamedTuple):
    """Acquire the lease if no live holder has it, give each missing tag a version, then read all again.

    The server makes each version from its bytes in `seeds`, and never gives one twice. A lease or tag that is no string
    of 16 bytes counts as missing, and so does a lease that lasts too long. Sent: `Acquired`. Raises CacheUnavailable:
    it may or may not have happened.
    """

    keys: Keys
    token: bytes
    seeds: tuple[bytes, ...]
    tag_ms: int
    admission: Admission | None = None


class Acquired(NamedTuple):
    """`won`: this request holds the lease. `looked`: the values found right after. `admitted`: there is room."""

    won: bool
    looked: Looked
    admitted: bool = True


class Renew(NamedTuple):
    """Prolong the lease if this request still holds it. Sent: whether it does. Raises CacheUnavailable.

    The read path does not yield it. It is done again and again during a `Load`.
    """

    keys: Keys
    token: bytes


class Load(NamedTuple):
    """Ask PostgreSQL, which cancels the statement after `timeout_ms`. Sent: `Loaded`. Raises DatabaseError.

    `renew` is done again and again meanwhile. `bypass`: no lease is held for this load, so the whole fleet could send
    one at once. PostgreSQL caps such loads. `direct`: the caller asked for this bypass. The cap on those is lower.
    """

    question: Question
    timeout_ms: int
    bypass: bool = False
    direct: bool = False
    renew: Renew | None = None


class Loaded(NamedTuple):
    """The answer, ready to send. `body` is None if a query that returns one row found none."""

    body: bytes | None


class Store(NamedTuple):
    """Write the entry if this request still holds the lease, and release the lease, in one atomic step.

    Then each tag is prolonged to `tag_ms`, unless it lives longer anyway.
    Sent: True if written, False if the lease had moved on. Raises CacheUnavailable: it may or may not have happened.
    """

    keys: Keys
    token: bytes
    entry: bytes
    lifetime_ms: int
    tag_ms: int = 0


class Release(NamedTuple):
    """Release the lease if this request still holds it. Sent: None. Raises CacheUnavailable.

    A `failure` is left in its place for a moment: others share it, as they would share an answer.
    """

    keys: Keys
    token: bytes
    failure: bytes | None = None


class Wait(NamedTuple):
    """Do nothing for `ms`. Sent: None."""

    ms: int


Step = Look | Acquire | Load | Store | Release | Wait


class EntryStore(Protocol):
    """The cache: each method is one step and one round trip, or raises CacheUnavailable."""

    def look(self, step: Look) -> Looked: ...
    def acquire(self, step: Acquire) -> Acquired: ...
    def renew(self, step: Renew) -> bool: ...
    def store(self, step: Store) -> bool: ...
    def release(self, step: Release) -> object: ...


class Loader(Protocol):
    """The database: one load, or DatabaseError."""

    def load(self, step: Load, renew: Callable[[], object] | None = None) -> Loaded:
        """Do `step`, and call `renew` each RENEW_EVERY_MS meanwhile."""
