"""The entry: what the cache holds for one answer, as bytes.

     offset  size  field
          0     2  magic "ca"
          2     1  format version
          3     1  flags: bit 0 there is a body (clear: "no such row"), bit 1 it is gzip,
                   bit 2 the cache keeps it for those who wait only; no others
          4     4  CRC-32 of all other fields
          8     8  created, ms since the epoch: the moment before the load began
         16     8  fresh until, ms since the epoch
         24     4  load time, ms
         28    16  token of the lease under which it was stored
         44    16  digest of the question that it answers, the same as in its key
         60    16  entity tag: BLAKE2b of the body before it was compressed
         76     1  n, number of tag versions
         77     4  q, length of the query string
         81  16 n  tag versions, in the catalogue's order
          …     q  the parameters as a query string, with which the verifier asks the same question again
          …        the body, ready to send

Numbers are big-endian. Bytes that are not exactly this are a miss: foreign, truncated, corrupt, or written by another
version of the library. So are bytes whose checksum fits, and whose body is no answer: see `_is_answer`.
"""

from __future__ import annotations

import re
import struct
import zlib
from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple

__all__ = [
    "ARRAY_HEAD",
    "ENTRY_BYTES_AT_MOST",
    "FORMAT_VERSION",
    "TOKEN_BYTES",
    "Encoding",
    "Entry",
    "decode",
    "encode",
    "entity_tag",
    "pack",
    "unpack",
]

FORMAT_VERSION: Final = 3
TOKEN_BYTES: Final = 16

_MAGIC: Final = b"ca"
_HEADER: Final = struct.Struct(">2sBBIQQI16s16s16sBI")
_CHECKSUM_AT: Final = 4
_AFTER_CHECKSUM: Final = 8
_HAS_BODY: Final = 1
_IS_GZIP: Final = 2
_IS_BRIEF: Final = 4
_BODY_FLAGS: Final = (0, _HAS_BODY, _HAS_BODY | _IS_GZIP)

# A smaller answer fits in one packet with its headers. Compressed, it would arrive no sooner, and cost no less.
_COMPRESS_FROM: Final = 1_024
# A smaller saving does not pay for decompressing. And Lambda returns bytes in base64, 4 for 3: so a compressed answer
# is at most 1.2 times as large as the database driver allows, which is within Lambda's limit.
_AT_MOST_OF_BODY: Final = 0.9
# JSON repeats its names, and the fastest level finds those. Level 6 saves another 7 %, in three times the time.
_LEVEL: Final = 1
_GZIP_CONTAINER: Final = 16 + zlib.MAX_WBITS  # zlib writes no time and no name, so the same body gives the same bytes

# Lambda returns no more, so no answer unpacks to more.
_BODY_AT_MOST: Final = 6 * 1024 * 1024
# So begins a reply with an array of a million elements or more. The driver of the cache refuses such a reply wherever
# the bytes are, so no entry has them. JSON has none: in a text a line break is escaped, and elsewhere none of these
# characters follows it.
ARRAY_HEAD: Final = re.compile(rb"\r\n[*%~>|][0-9]{7}")
# With its tag versions and its query string, of which API Gateway passes 10 kB.
ENTRY_BYTES_AT_MOST: Final = _BODY_AT_MOST + 65_536
# The entries whose body this process has checked, and whether the body is an answer. Good or bad, it unpacks each only
# once. The key is Python's hash of all bytes, which has a random seed: another body can be made to fit the checksum.
_checked: Final[dict[int, bool]] = {}
_CHECKED_AT_MOST: Final = 1_000


class Encoding(Enum):
    """The encoding of a stored body, by its name in Content-Encoding (RFC 9110 section 8.4.1)."""

    IDENTITY = "identity"
    GZIP = "gzip"


class Entry(NamedTuple):
    """One answer, with everything that is needed to judge and to send it.

    `body` is stored in `encoding`, and is None if there is no such row. `etag` is the same for every encoding.
    `question` and `query_string` are those of its `Question`: the digest to compare, the values to ask it again.
    `is_brief`: it has found no room (see `fill.Place`). What replaces it is as new as if the cache held none.
    """

    body: bytes | None
    created_ms: int
    fresh_until_ms: int
    load_ms: int
    token: bytes
    tag_versions: tuple[bytes, ...]
    etag: bytes
    question: bytes
    query_string: str
    encoding: Encoding = Encoding.IDENTITY
    is_brief: bool = False

    def age_ms(self, now_ms: int) -> int:
        """Return the age of the answer. Never negative, though the clocks of two machines differ a little."""
        return max(0, now_ms - self.created_ms)

    def ttl_ms(self, now_ms: int) -> int:
        """Return how long it stays fresh; negative once it is stale."""
        return self.fresh_until_ms - now_ms


def entity_tag(body: bytes | None) -> bytes:
    """Return 16 bytes that identify the uncompressed body: the same bytes have the same tag."""
    return blake2b(body or b"", digest_size=16).digest()


def pack(body: bytes | None, *, compress: bool = True) -> tuple[Encoding, bytes | None]:
    """Return `body` as it is stored: compressed if that pays, and `compress` and `ARRAY_HEAD` allow it."""
    if body is None or not compress or len(body) < _COMPRESS_FROM:
        return Encoding.IDENTITY, body
    packed = zlib.compress(body, _LEVEL, _GZIP_CONTAINER)
    # A caller can choose a text that is compressed to any bytes.
    if len(packed) > len(body) * _AT_MOST_OF_BODY or ARRAY_HEAD.search(packed):
        return Encoding.IDENTITY, body
    return Encoding.GZIP, packed


def unpack(encoding: Encoding, body: bytes) -> bytes:
    """Return the uncompressed body. Unpacks at most 6 MiB.

    Raises zlib.error if a gzip body is damaged, larger, or not one member. Never raises for what `decode` returned.
    """
    if encoding is Encoding.IDENTITY:
        return body
    unpacker = zlib.decompressobj(_GZIP_CONTAINER)
    unpacked = unpacker.decompress(body, _BODY_AT_MOST)
    if not unpacker.eof or unpacker.unused_data:
        raise zlib.error("more than one answer, or less")
    return unpacked


def encode(entry: Entry) -> bytes:
    """Return the bytes of `entry` in the current format."""
    query_string = entry.query_string.encode()
    header = _HEADER.pack(
        *(_MAGIC, FORMAT_VERSION, _flags(entry), 0),
        *(entry.created_ms, entry.fresh_until_ms, entry.load_ms, entry.token, entry.question, entry.etag),
        *(len(entry.tag_versions), len(query_string)),
    )
    data = bytearray().join((header, *entry.tag_versions, query_string, entry.body or b""))
    data[_CHECKSUM_AT:_AFTER_CHECKSUM] = _checksum(data).to_bytes(4, "big")
    return bytes(data)


def decode(data: bytes) -> Entry | None:
    """Return the entry that `data` holds, or None if it holds none that this version can read. Never raises.

    Whether it answers the question under whose key it was found, `Question.accept` tells.
    """
    if len(data) < _HEADER.size:
        return None
    header = _HEADER.unpack_from(data)
    magic, version, flags, checksum, created_ms, fresh_until_ms, load_ms, token, question, etag, tags, length = header
    if (
        magic != _MAGIC
        or version != FORMAT_VERSION
        or flags & ~_IS_BRIEF not in _BODY_FLAGS
        or checksum != _checksum(data)
    ):
        return None
    query_string_at = _HEADER.size + tags * TOKEN_BYTES
    body_at = query_string_at + length
    if body_at > len(data) or (body_at < len(data) and not flags & _HAS_BODY):
        return None
    entry = Entry(
        body=data[body_at:] if flags & _HAS_BODY else None,
        encoding=Encoding.GZIP if flags & _IS_GZIP else Encoding.IDENTITY,
        created_ms=created_ms,
        fresh_until_ms=fresh_until_ms,
        load_ms=load_ms,
        token=token,
        question=question,
        tag_versions=tuple([data[at : at + TOKEN_BYTES] for at in range(_HEADER.size, query_string_at, TOKEN_BYTES)]),
        etag=etag,
        query_string=data[query_string_at:body_at].decode(errors="replace"),
        is_brief=bool(flags & _IS_BRIEF),
    )
    return entry if _is_answer(entry, hash(data)) else None


def _is_answer(entry: Entry, key: int) -> bool:
    """Return whether the body unpacks, within the size of an answer, to UTF-8 that has the entity tag."""
    known = _checked.get(key)
    if known is None:
        known = _has_answer(entry)
        if len(_checked) >= _CHECKED_AT_MOST:
            _checked.clear()
        _checked[key] = known
    return known


def _has_answer(entry: Entry) -> bool:
    try:
        body = unpack(entry.encoding, entry.body) if entry.body is not None else b""
        body.decode()
    except (zlib.error, UnicodeDecodeError):
        return False
    return len(body) <= _BODY_AT_MOST and entity_tag(body) == entry.etag


def _flags(entry: Entry) -> int:
    brief = _IS_BRIEF if entry.is_brief else 0
    if entry.body is None:
        return brief
    return brief | _HAS_BODY | (_IS_GZIP if entry.encoding is Encoding.GZIP else 0)


def _checksum(data: bytes | bytearray) -> int:
    # Not a slice of the bytes, which would be a copy of them all.
    return zlib.crc32(memoryview(data)[_AFTER_CHECKSUM:], zlib.crc32(data[:_CHECKSUM_AT]))
