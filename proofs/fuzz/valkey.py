"""Replies of the cache: any bytes, to every step. The driver returns values of the right types, or CacheUnavailable.

Nothing else may be raised, and a reply must not take more memory than the largest entry explains.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, NamedTuple

from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.keys import question_keys
from cacheaside.reading.steps import Acquire, Acquired, Look, Looked, Release, Renew, Store
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from proofs.fuzz import strategies as st
from proofs.fuzz.fake_servers import serving
from proofs.fuzz.target import Target

__all__ = ["opened"]


class Replies(NamedTuple):
    """A step of the driver, and what the server sends: one item for each time that bytes arrive. It then closes."""

    mode: str
    step: str
    replies: list[bytes]


_TOKEN: Final = bytes(16)
_KEYS: Final = question_keys("q", _TOKEN, ("things", "things:1"))
_BYTES_OR_NONE: Final = (bytes, type(None))


def _is_looked(found: object) -> bool:
    return isinstance(found, Looked) and len(found.tags) == 2 and _are_values([found.entry, found.lease, *found.tags])


def _are_values(values: list[Any]) -> bool:
    return all(isinstance(each, _BYTES_OR_NONE) for each in values)


def _is_acquired(found: object) -> bool:
    return isinstance(found, Acquired) and isinstance(found.won, bool) and _is_looked(found.looked)


def _are_entries(found: Any) -> bool:
    keys, complete = found
    return isinstance(complete, bool) and all(type(key) is str and type(at) is int for key, at in keys.items())


# Each step of the drivers, and whether what it returned has the right type.
_STEPS: Final[Mapping[str, tuple[Callable[[Any], object], Callable[[Any], bool]]]] = {
    "look": (lambda cache: cache.look(Look(_KEYS)), _is_looked),
    "acquire": (lambda cache: cache.acquire(Acquire(_KEYS, _TOKEN, (_TOKEN, _TOKEN), 60_000)), _is_acquired),
    "store": (lambda cache: cache.store(Store(_KEYS, _TOKEN, b"entry", 60_000)), lambda it: isinstance(it, bool)),
    "renew": (lambda cache: cache.renew(Renew(_KEYS, _TOKEN)), lambda it: isinstance(it, bool)),
    "release": (lambda cache: cache.release(Release(_KEYS, _TOKEN, b"failure")), lambda it: it is None),
    "drop": (lambda cache: cache.drop_oversized(_KEYS), lambda it: it is None),
    "ping": (lambda cache: cache.ping(), lambda it: it is None),
    "delete": (lambda cache: cache.invalidate_entry("e", "l"), lambda it: isinstance(it, bool)),
    "invalidate": (lambda cache: cache.invalidate_tags(["things", "things:1"]), lambda it: it in (0, 1, 2)),
    "ids": (lambda cache: cache.replication_ids(), lambda it: isinstance(it, str) and it.isascii()),
    "scan": (lambda cache: cache.recently_read(60), _are_entries),
    "values": (lambda cache: cache.values(["a", "b"]), _are_values),
}
_CONFIRMED: Final = ("invalidate", "ids")  # the steps that ConfirmedTagCache has too

_BULK: Final = st.sampled_from(
    [
        *(b"", b"OK", b"a", b"1", b"0", _TOKEN, b"\xff\xfe", b"e" * 5_000, b"127.0.0.1", b"node-id"),
        *(b"master_replid:abc\r\nconnected_slaves:1\r\n", b"connected_slaves:99999999999999999999\r\n"),
        b"connected_slaves:" + b"9" * 5_000,
    ]
)
_NUMBERS: Final = st.sampled_from(
    (b"0", b"1", b"-1", b"2", b"-2", b"16383", b"16384", b"99999999999999999999", b"x", b"", b"-9223372036854775808")
)
_ERRORS: Final = st.sampled_from(
    [
        *(b"ERR x", b"NOSCRIPT x", b"MOVED 1 127.0.0.1:1", b"MOVED", b"MOVED x y", b"MOVED 1 :", b"ASK 1 127.0.0.1:1"),
        *(b"ASK", b"READONLY x", b"LOADING", b"CLUSTERDOWN x", b"TRYAGAIN", b"WRONGTYPE x", b"NOAUTH x", b"WRONGPASS"),
        *(b"BUSY", b"OOM", b"", b"\xff", b"EXECABORT", b"ERR max number of clients reached", b"CROSSSLOT", b"NOPERM"),
        *(b"MASTERDOWN", b"MOVED 1 [::1]:6379", b"ERR unknown command `x`, with args\x1b[2J"),
    ]
)
_LENGTHS: Final = st.sampled_from(
    (
        b"0",
        b"1",
        b"-1",
        b"2",
        b"-2",
        b"5",
        b"100000",
        b"536870912",
        b"2147483647",
        b"1000000000",
        b"4294967295",
        b"4294967296",
        b"9223372036854775807",
        b"x",
        b"",
    )
)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def _array(kind: bytes, items: list[bytes]) -> bytes:
    count = len(items) // 2 if kind in b"%|" else len(items)
    return kind + b"%d\r\n" % count + b"".join(items)


_SIMPLE: Final = st.one_of(
    *(_BULK.map(_bulk), _BULK.map(_bulk), _NUMBERS.map(lambda number: b":" + number + b"\r\n")),
    *(
        _ERRORS.map(lambda error: b"-" + error + b"\r\n"),
        st.sampled_from((b"$-1\r\n", b"*-1\r\n", b"+OK\r\n", b"+\xff\r\n")),
    ),
    # The types of RESP3, which nobody has asked for.
    st.sampled_from(
        (
            b"_\r\n",
            b"#t\r\n",
            b",1.5\r\n",
            b",inf\r\n",
            b",nan\r\n",
            b"(3492890328409238509324850943850943825024385\r\n",
        )
    ),
    st.sampled_from(
        (b"=15\r\ntxt:Some string\r\n", b"!5\r\nERR x\r\n", b"$?\r\n;4\r\nHell\r\n;0\r\n", b"*?\r\n:1\r\n.\r\n")
    ),
)
_WELL: Final = st.recursive(
    _SIMPLE,
    lambda inner: st.builds(
        _array, st.sampled_from((b"*", b"*", b"*", b"~", b">", b"%", b"|")), st.lists(inner, max_size=5)
    ),
)
_LIES: Final = st.builds(
    lambda kind, length, rest: kind + length + b"\r\n" + rest,
    st.sampled_from((b"$", b"*", b"%", b"~", b">", b"=", b"!", b"|")),
    _LENGTHS,
    _SIMPLE,
)
_DEEP: Final = st.builds(
    lambda kind, depth: (kind + b"1\r\n") * depth + b":1\r\n",
    st.sampled_from((b"*", b"~", b">")),
    st.sampled_from((5, 9, 10, 200, 100_000)),
)
_WIDE: Final = st.builds(lambda item, times: b"*%d\r\n" % times + item * times, _SIMPLE, st.sampled_from((10, 20_000)))
_SHAPES: Final = st.builds(
    lambda items: _array(b"*", items),
    st.lists(
        st.sampled_from((_bulk(_TOKEN), b"$-1\r\n", b":1\r\n", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", _bulk(b"1"))),
        min_size=1,
        max_size=6,
    ),
)
_SLOTS: Final = st.builds(
    lambda first, last, nodes: _array(b"*", [_array(b"*", [first, last, *(_array(b"*", node) for node in nodes)])]),
    *[st.one_of(st.sampled_from((b":0\r\n", b":16383\r\n")), _SIMPLE)] * 2,
    st.lists(
        st.lists(st.one_of(_SIMPLE, st.sampled_from((_bulk(b"127.0.0.1"), b":6379\r\n"))), max_size=4), max_size=2
    ),
)
_REPLY: Final = st.one_of(
    *[st.lists(_WELL, min_size=1, max_size=6).map(b"".join)] * 3,
    *[st.lists(st.one_of(_SHAPES, b_or_well), min_size=1, max_size=5).map(b"".join) for b_or_well in (_SIMPLE, _WELL)],
    *(_LIES, _DEEP, _WIDE, _SLOTS, st.binary(max_size=60)),
    st.builds(lambda reply, length: reply[:length], _WELL, st.integers(0, 30)),
)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with a server that sends what the case says."""
    planned: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.02)  # the client waits for more replies, and sends no more: it gets them now
        for reply in planned:
            with suppress(TimeoutError):
                if not connection.recv(65_536):
                    return
            connection.sendall(reply)

    with ExitStack() as exits:
        port = exits.enter_context(serving(serve))

        def check(case: Replies) -> None:
            planned[:] = case.replies
            _check(case, f"redis://127.0.0.1:{port}")

        cases = st.builds(
            Replies,
            st.sampled_from(("node", "node", "cluster")),
            st.sampled_from(sorted(_STEPS)),
            st.lists(_REPLY, min_size=1, max_size=4),
        )
        yield Target("valkey", cases, check, memory_mb=100)


def _check(case: Replies, url: str) -> None:
    act, is_right = _STEPS[case.step]
    settings = CacheSettings(url=url, authentication=Authentication.URL, region="", name="", mode=CacheMode(case.mode))
    for driver in (VerifiedCache, ConfirmedTagCache) if case.step in _CONFIRMED else (VerifiedCache,):
        cache = driver(settings)
        try:
            for _ in range(2):  # the second one on the connection that the first one has left
                _once(act, is_right, cache)
        finally:
            cache._client.forget()


def _once(act: Callable[[Any], object], is_right: Callable[[Any], bool], cache: object) -> None:
    try:
        found = act(cache)
    except CacheUnavailable:
        return
    assert is_right(found), f"it returned {found!r:.500}"
