"""Values in the cache that no fill of ours has made: written by a foreign program, by a bug, or by other code of ours.

Each fault writes them again and again, under keys that are in use at that moment. The library has to do the healing:
what was written stays until it ends or is replaced.
"""

from __future__ import annotations

import json
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cacheaside.reading.entry import FORMAT_VERSION, TOKEN_BYTES, Encoding, Entry, decode, encode, entity_tag
from cacheaside.reading.keys import ENTRY, PREFIX
from local.servers.processes import HOST
from local.servers.valkey import ValkeyServer
from proofs.chaos.faults.fault import Fault, FaultSteps

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["ENTRY_FAULTS"]

_POISONS_S: Final = 2.0
_BETWEEN_POISONS_S: Final = 0.1
_WRONG: Final = b'{"data":{"id":-1,"value":-1}}'
_ANOTHER: Final = b"another question"  # the digest of one
_BOMB_BYTES: Final = 64 << 20  # about 64 kB compressed
_HUGE_BYTES: Final = 1 << 20
_VERSION_AT: Final = 2  # of the fields of an entry, see `reading.entry`
_CHECKSUM_AT: Final = 4
_AFTER_CHECKSUM: Final = 8


class _Poison(NamedTuple):
    """Writes to `node`, of which it is given the keys with one prefix that exist now."""

    text: str
    prefix: str
    write: Callable[[redis.Redis, list[bytes], random.Random], object]


def _rubbish(node: redis.Redis, entries: list[bytes], rng: random.Random) -> None:
    for key in entries:
        node.set(key, rng.randbytes(rng.choice((0, 1, 80, 500))), keepttl=True)


def _forged(change: Callable[[Entry], bytes], node: redis.Redis, entries: list[bytes], rng: random.Random) -> None:
    for key in entries:
        stored = node.get(key) if node.type(key) == b"string" else None  # an earlier fault may have left another type
        entry = decode(stored) if isinstance(stored, bytes) else None
        if entry is not None:
            node.set(key, change(entry), keepttl=True)


def _other_body(entry: Entry) -> bytes:
    """A valid checksum, and a wrong answer."""
    return encode(entry._replace(body=_WRONG, encoding=Encoding.IDENTITY))


def _of_another_question(entry: Entry) -> bytes:
    """Valid in itself, under the key of this question."""
    etag = entity_tag(_WRONG)
    return encode(entry._replace(question=_ANOTHER, body=_WRONG, etag=etag, encoding=Encoding.IDENTITY))


def _bomb(entry: Entry) -> bytes:
    return encode(entry._replace(body=_BOMB, encoding=Encoding.GZIP))


def _compressed(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return packer.compress(bytes(size)) + packer.flush()


_BOMB: Final = _compressed(_BOMB_BYTES)


def _of_next_format(entry: Entry) -> bytes:
    """An entry of code that is newer than ours, with a checksum as in our format."""
    data = bytearray(encode(entry))
    data[_VERSION_AT] = FORMAT_VERSION + 1
    checksum = zlib.crc32(data[_AFTER_CHECKSUM:], zlib.crc32(data[:_CHECKSUM_AT]))
    data[_CHECKSUM_AT:_AFTER_CHECKSUM] = struct.pack(">I", checksum)
    return bytes(data)


def _of_wrong_type(node: redis.Redis, keys: list[bytes], rng: random.Random) -> None:
    for key in keys:
        node.delete(key)
        kinds = (
            partial(node.rpush, key, "x"),
            partial(node.sadd, key, "x"),
            partial(node.hset, key, "x", "x"),
            partial(node.xadd, key, {"x": "x"}),
        )
        with suppress(redis.ResponseError):  # a function has written the key again meanwhile
            rng.choice(kinds)()


def _of_wrong_length(node: redis.Redis, keys: list[bytes], rng: random.Random) -> None:
    for key in keys:
        node.set(key, bytes(rng.choice((0, 1, TOKEN_BYTES - 1, TOKEN_BYTES + 1, _HUGE_BYTES))))


def _leases(write: Callable[..., object], node: redis.Redis, entries: list[bytes], rng: random.Random) -> None:
    """Write to the lease of each question that has an entry."""
    leases = [key.replace(ENTRY.encode(), f"{PREFIX}lease:".encode(), 1) for key in entries]
    write(node, leases, rng)


def _endless(node: redis.Redis, leases: list[bytes], rng: random.Random) -> None:
    for key in leases:
        node.set(key, rng.randbytes(TOKEN_BYTES))


def _failures(node: redis.Redis, leases: list[bytes], rng: random.Random) -> None:
    """Write what looks like a failure to share: of another question, of another time, or only the beginning of one."""
    now_ms = time.time_ns() // 1_000_000
    for key in leases:
        at_ms = rng.choice((now_ms, 0, 10**18))
        keys = [rng.randbytes(TOKEN_BYTES).hex() for _ in range(3)]
        text = json.dumps(["cacheaside failure 1", at_ms, "StatementFailed", ["forged"], *keys])
        node.set(key, rng.choice((text, text[:-9], "[" * 60_000, json.dumps({"cacheaside failure 1": at_ms}))))


def _poison(poison: _Poison, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    until = time.monotonic() + _POISONS_S
    while time.monotonic() < until:
        for node in stack.cache.nodes:
            with _client(node) as client:
                keys = sorted(client.scan_iter(f"{poison.prefix}*", count=1000))
                poison.write(client, keys, rng)
        yield _BETWEEN_POISONS_S


@contextmanager
def _client(node: ValkeyServer) -> Iterator[redis.Redis]:
    with closing(redis.Redis(HOST, node.port, socket_timeout=30, retry=Retry(NoBackoff(), 0))) as client:
        yield client


_TAG: Final = f"{PREFIX}tag:"

ENTRY_FAULTS: Final[Sequence[Fault]] = tuple(
    Fault(poison.text, "cache", partial(_poison, poison))
    for poison in (
        _Poison("entries are rubbish", ENTRY, _rubbish),
        _Poison("entries are those of other questions", ENTRY, partial(_forged, _of_another_question)),
        _Poison("entries with a forged body and a valid checksum", ENTRY, partial(_forged, _other_body)),
        _Poison("entries that are decompression bombs", ENTRY, partial(_forged, _bomb)),
        _Poison("entries of the next format version", ENTRY, partial(_forged, _of_next_format)),
        _Poison("entries of a wrong type", ENTRY, _of_wrong_type),
        _Poison("tags of a wrong type", _TAG, _of_wrong_type),
        _Poison("tags of a wrong length", _TAG, _of_wrong_length),
        _Poison("leases of a wrong type", ENTRY, partial(_leases, _of_wrong_type)),
        _Poison("leases of a wrong length", ENTRY, partial(_leases, _of_wrong_length)),
        _Poison("leases that never end", ENTRY, partial(_leases, _endless)),
        _Poison("forged failures to share", ENTRY, partial(_leases, _failures)),
    )
)
