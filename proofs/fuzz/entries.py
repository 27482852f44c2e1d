"""The decoder of entries: any bytes are None or an entry that can be sent, in bounded memory. Never an error.

The bytes are valid entries, changed and cut, with a checksum that fits again, and bodies that unpack to more than they
should.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading.entry import Encoding, Entry, decode, encode, entity_tag, pack, unpack
from cacheaside.reading.question import Question
from proofs.fuzz import strategies as st
from proofs.fuzz.checksums import suffix
from proofs.fuzz.target import Target

__all__ = ["TARGET"]

_TWELVE_MB: Final = 12_000_000
_MB: Final = bytes(1_000_000)
_LIMIT: Final = 6 * 1024 * 1024  # of a response of Lambda
_QUESTION: Final = Question(Query("q", "", "select 1", "many", 1_000, {}, (), Policy(ttl_ms=1_000)), {})


@cache
def _bomb(megabytes: int) -> bytes:
    """Return zeros that are compressed, made when they are first drawn, and without being in memory as a whole."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*(packer.compress(_MB) for _ in range(megabytes)), packer.flush()])


# Bodies that unpack to more than they should, or are in an odd form.
_BOMBS: Final[tuple[Callable[[], bytes], ...]] = (
    lambda: zlib.compress(b"{}", 1, 31) * 2,
    lambda: zlib.compress(b"", 1, 31) * 10_000,
    lambda: _bomb(12),
    lambda: _bomb(150),
    lambda: zlib.compress(_bomb(150), 9, 31),
)


class Changed(NamedTuple):
    """The bytes of an entry, with pieces replaced: (where, how many bytes, by what)."""

    entry: Entry
    pieces: list[tuple[int, int, bytes]]
    # "": as it is; "right": the checksum is computed again; "same": four bytes more give it the old checksum.
    checksum: str


_BODIES: Final = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.text(st.characters(), max_size=60).map(str.encode),
    st.builds(
        lambda text, times: text * times, st.binary(max_size=9), st.sampled_from((1, 300, 100_000, _TWELVE_MB // 9))
    ),
    st.sampled_from(_BOMBS).map(lambda bomb: bomb()),
)
_U64: Final = st.integers(0, 2**64 - 1)
_TOKENS: Final = st.binary(min_size=16, max_size=16)


_OTHERS: Final = st.builds(
    lambda created, fresh, load, token, tags, question, string: {
        "created_ms": created,
        "fresh_until_ms": fresh,
        "load_ms": load,
        "token": token,
        "tag_versions": tuple(tags),
        "question": question,
        "query_string": string,
    },
    *(_U64, _U64, st.integers(0, 2**32 - 1), _TOKENS, st.lists(_TOKENS, max_size=8)),
    *(_TOKENS | st.just(_QUESTION.digest), st.text(st.characters(), max_size=20)),
)
_PIECES: Final = st.tuples(
    st.integers(0, 120) | st.integers(0, 2_000),
    st.integers(0, 20) | st.sampled_from((0, 1, 4, 10_000)),
    st.binary(max_size=20) | st.sampled_from((b"\xff" * 4, bytes(4), b"\xff" * 8)),
)


def _built(body: bytes | None, is_packed: bool, tag_is_right: bool, fields: dict[str, object]) -> Entry:
    encoding, stored = pack(body, compress=is_packed)
    if body is not None and is_packed and body[:2] == b"\x1f\x8b":
        encoding, stored = Encoding.GZIP, body  # a bomb, as it is
    etag = entity_tag(body) if tag_is_right else bytes(16)
    return Entry(body=stored, etag=etag, encoding=encoding, **fields)  # type: ignore[arg-type]


_CHANGED: Final = st.builds(
    Changed,
    st.builds(_built, _BODIES, st.booleans(), st.booleans(), _OTHERS),
    st.lists(_PIECES, max_size=4),
    st.sampled_from(("", "right", "same")),
)


def _check(case: Changed | bytes) -> None:
    if isinstance(case, bytes):
        _check_bytes(case)
        return
    data = encode(case.entry)
    found = _check_bytes(data)
    if found is not None:
        assert found == case.entry, f"{found} is not what was encoded"
    changed = bytearray(data)
    for at, length, piece in case.pieces:
        changed[at : at + length] = piece
    if case.checksum == "right" and len(changed) >= 8:
        changed[4:8] = zlib.crc32(changed[8:], zlib.crc32(changed[:4])).to_bytes(4, "big")
    if case.checksum == "same" and len(changed) >= 81:
        changed = bytearray(data[:81]) + changed[81:]
        changed += suffix(zlib.crc32(changed[8:], zlib.crc32(changed[:4])), int.from_bytes(data[4:8], "big"))
    _check_bytes(bytes(changed))


def _check_bytes(data: bytes) -> Entry | None:
    entry = decode(data)
    assert decode(data) == entry, "decoded twice, it is not the same"
    if entry is None:
        return None
    body = b"" if entry.body is None else unpack(entry.encoding, entry.body)
    body.decode()
    assert len(body) <= _LIMIT, f"the body has {len(body)} bytes"
    assert entity_tag(body) == entry.etag, "the body is not the one of the entity tag"
    if "\ufffd" not in entry.query_string:
        assert encode(entry) == data, "encoded again, it is not the same"
    accepted = _QUESTION.accept(entry, 1_000)
    if accepted is not None:
        assert accepted.ttl_ms(1_000) <= 61_000, "it is fresh for longer than the ttl, with clocks a minute apart"
    return entry


TARGET: Final = Target(
    name="entry", cases=st.one_of(_CHANGED, _CHANGED, st.binary(max_size=400)), check=_check, memory_mb=120
)
