"""What the read path asks to have done, and what it is told in return.

Each step is one round trip. The read path yields a step and is sent the result named beside it; what a step can raise
is thrown into the read path at that point. Nothing here knows how a step is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from cacheaside.catalogue.statements import BoundQuery
from cacheaside.reading.keys import Keys

__all__ = ["Acquire", "Acquired", "Load", "Loaded", "Look", "Looked", "Release", "Step", "Store", "Wait"]


@dataclass(frozen=True, slots=True)
class Look:
    """Read entry, lease and tags in one instant. Sent: `Looked`. Raises CacheUnavailable."""

    keys: Keys


@dataclass(frozen=True, slots=True)
class Looked:
    """What was there; None for what was not. `tags` is in the order of `Keys.tags`."""

    entry: bytes | None
    lease: bytes | None
    tags: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class Acquire:
    """Take the lease if nobody holds it, give each missing tag its `new_versions`, then read entry and tags again.

    Sent: `Acquired`. Raises CacheUnavailable.
    """

    keys: Keys
    token: bytes
    lease_ms: int
    new_versions: tuple[bytes, ...]
    tag_ms: int


@dataclass(frozen=True, slots=True)
class Acquired:
    """`won` says whether the lease is ours; `looked` is what was there right after."""

    won: bool
    looked: Looked


@dataclass(frozen=True, slots=True)
class Load:
    """Ask PostgreSQL, which cancels the statement after `timeout_ms`. Sent: `Loaded`. Raises DatabaseError.

    `direct`: nobody holds a lease for this load, so the loads of a whole fleet could come at once; they are capped.
    """

    query: BoundQuery
    timeout_ms: int
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer, ready to send; `body` is None when a query that returns one row found none."""

    body: bytes | None


@dataclass(frozen=True, slots=True)
class Store:
    """Write the entry if the lease is still ours, and release it, in one atomic step.

    Sent: True if written, False if the lease had moved on. Raises CacheUnavailable: it may or may not have happened.
    """

    keys: Keys
    token: bytes
    entry: bytes
    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give the lease back if it is still ours. Sent: None. Raises CacheUnavailable."""

    keys: Keys
    token: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while. Sent: None."""

    ms: int


Step = Look | Acquire | Load | Store | Release | Wait
