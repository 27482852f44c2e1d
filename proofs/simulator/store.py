"""The model of the cache: shards with one thread each, a network, and values that expire.

Each shard serves its commands in the order in which they arrive, and all take the same time on the way. So the order of
arrival is the order of sending. A command takes effect when it is sent, as of the time when the shard will have served
it; only its reply is an event. With several shards, a command that concerns two of them takes effect on both at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from cacheaside.catalogue.policy import FAILURE_MS, LEASE_MS
from cacheaside.drivers.cache.deadline import CALL_S
from cacheaside.errors import CacheUnavailable
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES
from cacheaside.reading.keys import Keys
from proofs.simulator.events import Loop

__all__ = ["Command", "Delete", "Get", "Put", "Store", "StoreOptions", "shard_of"]

_CALL_MS: Final = CALL_S * 1000


@dataclass(frozen=True, slots=True)
class Get:
    """GET. Sent: the value, or None."""

    key: str


@dataclass(frozen=True, slots=True)
class Put:
    """SET PX, with `if_missing` SET NX PX. Sent: whether it was written."""

    key: str
    value: bytes
    lifetime_ms: float
    if_missing: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """DEL. Sent: None."""

    key: str


Command = steps.Look | steps.Acquire | steps.Renew | steps.Store | steps.Release | Get | Put | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """The time of a command on the thread of its shard, of an answer on its network, and of a message on the way."""

    shards: int = 1
    command_ms: float = 0.01  # 100,000 commands a second
    answer_ms: float = 0.02  # 2 kB at 0.94 Gbit/s, the baseline of cache.r7g.large
    latency_ms: float = 0.25


class Store:
    """All shards of one cache. `served` counts the commands of each shard."""

    def __init__(self, loop: Loop, options: StoreOptions) -> None:
        self._loop = loop
        self._options = options
        self._values: dict[str, tuple[bytes, float]] = {}
        self._free_ms = [0.0] * options.shards
        self.served: Counter[int] = Counter()
        self.is_down = False

    def send(self, command: Command, reply: Callable[[Any], object]) -> None:
        """Do `command`, and call `reply` with its result, or with CacheUnavailable after the limit of a call."""
        sent_ms, options = self._loop.now_ms, self._options
        if self.is_down:
            self._loop.at(sent_ms + _CALL_MS, reply, CacheUnavailable("no reply"))
            return
        done_ms, first = 0.0, None
        for key in _keys(command, options.shards):
            shard = shard_of(key, options.shards)
            free_ms = max(self._free_ms[shard], sent_ms + options.latency_ms) + options.command_ms
            self._free_ms[shard] = free_ms
            self.served[shard] += 1
            first = shard if first is None else first
            done_ms = max(done_ms, free_ms)
        result = self._apply(command, done_ms)
        if isinstance(result, bytes) or (isinstance(result, steps.Looked) and result.entry is not None):
            self._free_ms[first or 0] += options.answer_ms
            done_ms += options.answer_ms
        replied_ms = done_ms + options.latency_ms
        if replied_ms - sent_ms > _CALL_MS:
            replied_ms, result = sent_ms + _CALL_MS, CacheUnavailable("too slow")
        self._loop.at(replied_ms, reply, result)

    def replace(self) -> None:
        """Answer again, without any value, as a new primary without a replica does."""
        self._values.clear()
        self.is_down = False

    def _apply(self, command: Command, at_ms: float) -> Any:
        match command:
            case steps.Look(keys):
                return self._looked(keys, at_ms)
            case Get(key):
                return self._get(key, at_ms)
            case Put():
                if command.if_missing and self._get(command.key, at_ms) is not None:
                    return False
                self._values[command.key] = (command.value, at_ms + command.lifetime_ms)
                return True
            case Delete(key):
                self._values.pop(key, None)
                return None
            case steps.Acquire(keys, token, seeds, tag_ms):
                held = self._get(keys.lease, at_ms)
                if held is None or len(held) != TOKEN_BYTES:
                    self._values[keys.lease] = (token, at_ms + LEASE_MS)
                for tag, seed in zip(keys.tags, seeds, strict=True):
                    version, ends_ms = self._values.get(tag, (seed, 0.0))
                    version = version if ends_ms > at_ms else seed
                    self._values[tag] = (version, max(ends_ms, at_ms + tag_ms))
                looked = self._looked(keys, at_ms)
                return steps.Acquired(looked.lease == token, looked)
            case steps.Renew(keys, token) | steps.Store(keys, token) | steps.Release(keys, token):
                if self._get(keys.lease, at_ms) != token:
                    return False
                return self._apply_as_holder(command, at_ms)

    def _apply_as_holder(self, command: steps.Renew | steps.Store | steps.Release, at_ms: float) -> bool:
        lease = command.keys.lease
        match command:
            case steps.Renew(token=token):
                self._values[lease] = (token, at_ms + LEASE_MS)
            case steps.Store(keys=keys, entry=entry, lifetime_ms=lifetime_ms, tag_ms=tag_ms):
                self._values[keys.entry] = (entry, at_ms + lifetime_ms)
                for tag in keys.tags:
                    version, ends_ms = self._values.get(tag, (b"", 0.0))
                    if at_ms < ends_ms < at_ms + tag_ms:
                        self._values[tag] = (version, at_ms + tag_ms)
                del self._values[lease]
            case steps.Release(failure=None):
                del self._values[lease]
            case steps.Release(failure=bytes(failure)):
                self._values[lease] = (failure, at_ms + FAILURE_MS)
        return True

    def _looked(self, keys: Keys, at_ms: float) -> steps.Looked:
        tags = tuple([self._get(tag, at_ms) for tag in keys.tags])
        return steps.Looked(self._get(keys.entry, at_ms), self._get(keys.lease, at_ms), tags)

    def _get(self, key: str, at_ms: float) -> bytes | None:
        value, ends_ms = self._values.get(key, (None, 0.0))
        return value if ends_ms > at_ms else None


def shard_of(key: str, shards: int) -> int:
    """Return the shard that has the key."""
    return crc32(key.encode()) % shards if shards > 1 else 0


def _keys(command: Command, shards: int) -> tuple[str, ...]:
    """Return a key of each command that the driver sends: to one node, a look is a single MGET."""
    match command:
        case steps.Look(keys) if shards == 1:
            return (keys.entry,)
        case steps.Look(keys) | steps.Acquire(keys):
            return (keys.entry, *keys.tags)
        case Get(key) | Put(key) | Delete(key):
            return (key,)
        case _:
            return (command.keys.entry,)
