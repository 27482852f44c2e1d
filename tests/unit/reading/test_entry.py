"""The format of entries. Snapshots of its bytes are compared, because entries outlive the code that wrote them."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace
from hashlib import shake_256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.reading.entry import FORMAT_VERSION, Encoding, Entry, decode, encode, entity_tag, pack, unpack

BODY = b'{"data":[{"id":1}]}'
ENTRY = Entry(
    body=BODY,
    created_ms=1_700_000_000_000,
    fresh_until_ms=1_700_000_060_000,
    load_ms=5_003,
    token=bytes(range(16)),
    tag_versions=(b"A" * 16, b"B" * 16),
    etag=entity_tag(BODY),
    query_string="since=2025-01-01&limit=10",
)

# Not compressed by the test, because another build of zlib may produce other bytes.
GZIP_BODY = bytes.fromhex("1f8b0800000000000403ab564a492c4954b28aae56ca4c51b232ac8dad050053ae2faa13000000")
GZIP_ENTRY = replace(ENTRY, body=GZIP_BODY, encoding=Encoding.GZIP)

FIELDS = "0000018bcfe568000000018bcfe652600000138b000102030405060708090a0b0c0d0e0fe5892daa3471243c635240aa3bed72da02"
TAGS = "4141414141414141414141414141414142424242424242424242424242424242"
QUERY_STRING = "73696e63653d323032352d30312d3031266c696d69743d3130"

VERSION_1 = bytes.fromhex("63610101" + "7a8199e8" + FIELDS + TAGS) + BODY
VERSION_1_GZIP = bytes.fromhex("63610103" + "d647f65e" + FIELDS + TAGS) + GZIP_BODY
VERSION_2 = bytes.fromhex("63610201" + "6153913e" + FIELDS + "00000019" + TAGS + QUERY_STRING) + BODY
VERSION_2_GZIP = bytes.fromhex("63610203" + "b5dd8627" + FIELDS + "00000019" + TAGS + QUERY_STRING) + GZIP_BODY

BODIES = st.one_of(
    st.binary(max_size=3_000),
    st.lists(st.sampled_from([b'{"id":1}', b'{"id":2},', b'"name":"mug"']), max_size=400).map(b"".join),
)
EACH_ENCODING = pytest.mark.parametrize("entry", [ENTRY, GZIP_ENTRY], ids=["identity", "gzip"])


def row_of_shop(number: int) -> dict[str, object]:
    return {"id": number, "name": f"Product {number}", "price": 9.99 + number, "sold": number * 37 % 1000}


SHOP = json.dumps({"data": [row_of_shop(number) for number in range(100)]}).encode()


@pytest.mark.parametrize(("entry", "snapshot"), [(ENTRY, VERSION_2), (GZIP_ENTRY, VERSION_2_GZIP)])
def test_bytes_of_format_2_do_not_change(entry: Entry, snapshot: bytes) -> None:
    assert encode(entry) == snapshot
    assert decode(snapshot) == entry


@pytest.mark.parametrize("snapshot", [VERSION_1, VERSION_1_GZIP])
def test_format_1_is_a_miss_because_it_has_no_query_string(snapshot: bytes) -> None:
    assert decode(snapshot) is None


def test_bodies_of_both_snapshots_are_equal() -> None:
    assert unpack(Encoding.GZIP, GZIP_BODY) == BODY


@given(
    st.builds(
        Entry,
        body=st.one_of(st.none(), st.binary(max_size=200)),
        created_ms=st.integers(0, 2**64 - 1),
        fresh_until_ms=st.integers(0, 2**64 - 1),
        load_ms=st.integers(0, 2**32 - 1),
        token=st.binary(min_size=16, max_size=16),
        tag_versions=st.lists(st.binary(min_size=16, max_size=16), max_size=8).map(tuple),
        etag=st.binary(min_size=16, max_size=16),
        query_string=st.text(st.characters(codec="utf-8"), max_size=50),
    ),
    st.sampled_from(Encoding),
)
def test_entry_is_the_same_after_encode_and_decode(entry: Entry, encoding: Encoding) -> None:
    entry = replace(entry, encoding=Encoding.IDENTITY if entry.body is None else encoding)
    assert decode(encode(entry)) == entry


def test_missing_row_differs_from_an_empty_body() -> None:
    absent, empty = replace(ENTRY, body=None), replace(ENTRY, body=b"")
    assert decode(encode(absent)) == absent
    assert decode(encode(empty)) == empty


@EACH_ENCODING
def test_every_truncation_is_a_miss(entry: Entry) -> None:
    data = encode(entry)
    assert all(decode(data[:length]) is None for length in range(len(data)))


@EACH_ENCODING
def test_every_flipped_bit_is_a_miss(entry: Entry) -> None:
    data = encode(entry)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        assert decode(bytes(changed)) is None, f"bit {position}"


@given(BODIES, st.data())
def test_damage_anywhere_in_any_entry_is_a_miss(body: bytes, data: st.DataObject) -> None:
    encoding, packed = pack(body)
    written = bytearray(encode(replace(ENTRY, body=packed, encoding=encoding)))
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(written)) is None
    assert decode(bytes(written[: data.draw(st.integers(0, len(written) - 1))])) is None


def test_unknown_flags_are_a_miss_even_if_the_checksum_fits() -> None:
    decoded = set()
    for flags in range(256):
        preamble, rest = bytes([*b"ca", FORMAT_VERSION, flags]), VERSION_2[8:]
        if decode(preamble + zlib.crc32(preamble + rest).to_bytes(4, "big") + rest) is not None:
            decoded.add(flags)
    assert decoded == {0b00, 0b01, 0b11}


def test_query_string_of_any_length_is_stored() -> None:
    """API Gateway limits a URL to 8 kB, but a function can be invoked without it."""
    long = replace(ENTRY, query_string="q=" + "x" * 70_000)
    assert decode(encode(long)) == long


def test_future_version_is_a_miss() -> None:
    data = bytearray(encode(ENTRY))
    data[2] += 1
    assert decode(bytes(data)) is None


@given(st.binary(max_size=300))
def test_foreign_bytes_are_a_miss_and_never_an_error(data: bytes) -> None:
    assert decode(data) is None


@given(BODIES, st.booleans())
def test_unpack_reverses_pack_and_packed_is_never_larger(body: bytes, compress: bool) -> None:
    encoding, packed = pack(body, compress=compress)
    assert packed is not None
    assert unpack(encoding, packed) == body
    assert len(packed) <= len(body)


def test_body_is_compressed_only_if_it_becomes_smaller() -> None:
    noise = shake_256(b"").digest(10_000)
    assert pack(SHOP)[0] is Encoding.GZIP
    assert pack(SHOP[:1_000]) == (Encoding.IDENTITY, SHOP[:1_000])
    assert pack(noise) == (Encoding.IDENTITY, noise)
    assert pack(SHOP, compress=False) == (Encoding.IDENTITY, SHOP)
    assert pack(None) == (Encoding.IDENTITY, None)


def test_packed_body_is_readable_by_any_gzip_and_has_no_time() -> None:
    _, packed = pack(SHOP)
    assert packed is not None
    assert gzip.decompress(packed) == SHOP
    assert packed[4:8] == bytes(4)  # the modification time (RFC 1952): none
    assert pack(SHOP) == pack(bytes(bytearray(SHOP)))


def test_age_is_never_negative_when_clocks_differ() -> None:
    assert ENTRY.age_ms(ENTRY.created_ms - 50) == 0
