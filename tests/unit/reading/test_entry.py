"""The format of entries. Snapshots of its bytes are compared, because entries outlive the code that wrote them."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from hashlib import shake_256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.reading import entry as library
from cacheaside.reading.entry import FORMAT_VERSION, Encoding, Entry, decode, encode, entity_tag, pack, unpack
from proofs.fuzz.checksums import suffix

BODY = b'{"data":[{"id":1}]}'
ENTRY = Entry(
    body=BODY,
    created_ms=1_700_000_000_000,
    fresh_until_ms=1_700_000_060_000,
    load_ms=5_003,
    token=bytes(range(16)),
    tag_versions=(b"A" * 16, b"B" * 16),
    question=b"Q" * 16,
    etag=entity_tag(BODY),
    query_string="since=2025-01-01&limit=10",
)

# Not compressed by the test, because another build of zlib may produce other bytes.
GZIP_BODY = bytes.fromhex("1f8b0800000000000403ab564a492c4954b28aae56ca4c51b232ac8dad050053ae2faa13000000")
GZIP_ENTRY = ENTRY._replace(body=GZIP_BODY, encoding=Encoding.GZIP)
ABSENT = ENTRY._replace(body=None, etag=entity_tag(None))

TIMES_AND_TOKEN = "0000018bcfe568000000018bcfe652600000138b000102030405060708090a0b0c0d0e0f"
QUESTION = "51515151515151515151515151515151"
ETAG_AND_TWO = "e5892daa3471243c635240aa3bed72da02"
FIELDS = TIMES_AND_TOKEN + ETAG_AND_TWO
TAGS = "4141414141414141414141414141414142424242424242424242424242424242"
QUERY_STRING = "73696e63653d323032352d30312d3031266c696d69743d3130"

VERSION_1 = bytes.fromhex("63610101" + "7a8199e8" + FIELDS + TAGS) + BODY
VERSION_1_GZIP = bytes.fromhex("63610103" + "d647f65e" + FIELDS + TAGS) + GZIP_BODY
VERSION_2 = bytes.fromhex("63610201" + "6153913e" + FIELDS + "00000019" + TAGS + QUERY_STRING) + BODY
VERSION_2_GZIP = bytes.fromhex("63610203" + "b5dd8627" + FIELDS + "00000019" + TAGS + QUERY_STRING) + GZIP_BODY
WITH_QUESTION = TIMES_AND_TOKEN + QUESTION + ETAG_AND_TWO + "00000019" + TAGS + QUERY_STRING
VERSION_3 = bytes.fromhex("63610301" + "c6d273c2" + WITH_QUESTION) + BODY
VERSION_3_GZIP = bytes.fromhex("63610303" + "55ff47e4" + WITH_QUESTION) + GZIP_BODY

BODIES = st.one_of(
    st.binary(max_size=3_000),
    st.lists(st.sampled_from([b'{"id":1}', b'{"id":2},', b'"name":"mug"']), max_size=400).map(b"".join),
)
EACH_ENCODING = pytest.mark.parametrize("entry", [ENTRY, GZIP_ENTRY], ids=["identity", "gzip"])


def row_of_shop(number: int) -> dict[str, object]:
    return {"id": number, "name": f"Product {number}", "price": 9.99 + number, "sold": number * 37 % 1000}


SHOP = json.dumps({"data": [row_of_shop(number) for number in range(100)]}).encode()


@pytest.mark.parametrize(("entry", "snapshot"), [(ENTRY, VERSION_3), (GZIP_ENTRY, VERSION_3_GZIP)])
def test_bytes_of_format_3_do_not_change(entry: Entry, snapshot: bytes) -> None:
    assert encode(entry) == snapshot
    assert decode(snapshot) == entry


@pytest.mark.parametrize("snapshot", [VERSION_1, VERSION_1_GZIP, VERSION_2, VERSION_2_GZIP])
def test_older_format_is_a_miss_because_it_does_not_say_which_question_it_answers(snapshot: bytes) -> None:
    assert decode(snapshot) is None


def test_bodies_of_both_snapshots_are_equal() -> None:
    assert unpack(Encoding.GZIP, GZIP_BODY) == BODY


@given(
    st.builds(
        Entry,
        body=st.one_of(st.none(), st.text(max_size=200).map(str.encode)),
        created_ms=st.integers(0, 2**64 - 1),
        fresh_until_ms=st.integers(0, 2**64 - 1),
        load_ms=st.integers(0, 2**32 - 1),
        token=st.binary(min_size=16, max_size=16),
        tag_versions=st.lists(st.binary(min_size=16, max_size=16), max_size=8).map(tuple),
        etag=st.just(b""),
        question=st.binary(min_size=16, max_size=16),
        query_string=st.text(st.characters(codec="utf-8"), max_size=50),
    ),
    st.booleans(),
)
def test_entry_is_the_same_after_encode_and_decode(entry: Entry, compress: bool) -> None:
    encoding, body = pack(entry.body and entry.body * 20, compress=compress)
    entry = entry._replace(body=body, encoding=encoding, etag=entity_tag(entry.body and entry.body * 20))
    assert decode(encode(entry)) == entry


def test_entity_tags_do_not_change_because_clients_keep_them() -> None:
    assert entity_tag(BODY).hex() == "e5892daa3471243c635240aa3bed72da"
    assert entity_tag(None).hex() == entity_tag(b"").hex() == "cae66941d9efbd404e4d88758ea67670"


def test_missing_row_differs_from_an_empty_body() -> None:
    empty = ENTRY._replace(body=b"", etag=entity_tag(b""))
    assert decode(encode(ABSENT)) == ABSENT
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
    written = bytearray(encode(ENTRY._replace(body=packed, encoding=encoding)))
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(written)) is None
    assert decode(bytes(written[: data.draw(st.integers(0, len(written) - 1))])) is None


def with_checksum(data: bytes) -> bytes:
    """Return `data` with the checksum that fits."""
    return data[:4] + zlib.crc32(data[8:], zlib.crc32(data[:4])).to_bytes(4, "big") + data[8:]


@pytest.mark.parametrize(
    ("entry", "known"),
    [(ABSENT, 0b00), (ENTRY, 0b01), (GZIP_ENTRY, 0b11)],
)
def test_flags_that_do_not_fit_the_body_are_a_miss_even_if_the_checksum_fits(entry: Entry, known: int) -> None:
    data = encode(entry)
    decoded = {flags for flags in range(256) if decode(with_checksum(data[:3] + bytes([flags]) + data[4:]))}
    brief = 0b100
    assert decoded - {0b01, 0b01 | brief} == {known, known | brief} - {0b01, 0b01 | brief}
    assert known in decoded


def gzip_of(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def test_query_string_that_is_no_utf8_does_not_fail_the_read() -> None:
    data = encode(ENTRY)
    at = data.index(b"since")
    decoded = decode(with_checksum(data[:at] + b"\xff" + data[at + 1 :]))
    assert decoded is not None
    assert decoded.query_string == "\ufffdince=2025-01-01&limit=10"


@pytest.mark.parametrize(("more", "is_answer"), [(0, True), (1, False)])
def test_largest_answer_has_as_many_bytes_as_lambda_returns(more: int, is_answer: bool) -> None:
    body = bytes(6 * 1024 * 1024 + more)
    assert (decode(encode(ENTRY._replace(body=body, etag=entity_tag(body)))) is not None) == is_answer


# What has the right checksum, and is no answer: the stored body, and the body whose entity tag it has.
FORGED_BODIES = {
    "not gzip": (b"not gzip", BODY),
    "nothing": (b"", b""),
    "cut off": (GZIP_BODY[:-5], BODY),
    "damaged": (GZIP_BODY[:12] + b"\xff" + GZIP_BODY[13:], BODY),
    "more behind it": (GZIP_BODY + b"more", BODY),
    "two members": (GZIP_BODY + GZIP_BODY, BODY + BODY),
    "another body": (gzip_of(b"{}"), BODY),
    "not UTF-8": (gzip_of(b"\xff"), b"\xff"),
    "larger than any answer": (gzip_of(bytes(7_000_000)), bytes(7_000_000)),
}


@pytest.mark.parametrize(("stored", "tagged"), FORGED_BODIES.values(), ids=FORGED_BODIES)
def test_body_that_is_no_answer_is_a_miss_even_if_the_checksum_fits(stored: bytes, tagged: bytes) -> None:
    assert decode(encode(GZIP_ENTRY._replace(body=stored, etag=entity_tag(tagged)))) is None


@pytest.mark.parametrize("body", [b"\xff", bytes(7_000_000)], ids=["not UTF-8", "larger than any answer"])
def test_plain_body_that_is_no_answer_is_a_miss_even_if_the_checksum_fits(body: bytes) -> None:
    assert decode(encode(ENTRY._replace(body=body, etag=entity_tag(body)))) is None


def test_entry_that_was_good_does_not_vouch_for_another_body_in_its_place() -> None:
    assert decode(encode(GZIP_ENTRY)) == GZIP_ENTRY
    assert decode(encode(GZIP_ENTRY._replace(body=GZIP_BODY[:-5]))) is None


@pytest.mark.parametrize("entry", [ENTRY, GZIP_ENTRY], ids=["plain", "gzip"])
def test_body_that_is_made_to_fit_the_header_of_a_good_entry_is_a_miss(entry: Entry) -> None:
    data = encode(entry)
    assert decode(data) == entry
    forged = data[: -len(entry.body or b"")] + b"\xff\xff\xff"
    forged += suffix(zlib.crc32(forged[8:], zlib.crc32(forged[:4])), int.from_bytes(data[4:8], "big"))
    assert (with_checksum(forged), decode(forged)) == (forged, None)


def test_bomb_takes_no_more_memory_than_an_answer() -> None:
    """A body of 300 MB: what unpacks is bounded, whatever the length says."""
    bomb = b"".join(zeros_in_gzip(300))
    tracemalloc.start()
    decode(encode(GZIP_ENTRY._replace(body=bomb)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_bomb_is_unpacked_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(GZIP_ENTRY._replace(body=b"".join(zeros_in_gzip(8))))
    unpacked = []
    monkeypatch.setattr(library, "unpack", lambda *packed: (unpacked.append(packed), unpack(*packed))[1])
    assert [decode(data) for _ in range(5)] == [None] * 5
    assert len(unpacked) == 1


def test_entries_that_are_known_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_CHECKED_AT_MOST", 3)
    for number in range(10):
        assert decode(encode(ENTRY._replace(load_ms=number))) is not None
        assert len(library._checked) <= 3


def zeros_in_gzip(megabytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield from (packer.compress(bytes(1_000_000)) for _ in range(megabytes))
    yield packer.flush()


@given(st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_lengths_that_lie_never_give_another_answer(tags: int, length: int) -> None:
    data = encode(ENTRY)
    lying = with_checksum(data[:76] + bytes([tags]) + length.to_bytes(4, "big") + data[81:])
    found = decode(lying)
    assert found is None or found.body == BODY


def test_entry_without_a_row_whose_lengths_lie_is_a_miss() -> None:
    """Its body cannot tell: there is none whose entity tag would differ."""
    data = encode(ABSENT)
    length = len(ABSENT.query_string)
    lying = [data[:77] + (length + by).to_bytes(4, "big") + data[81:] for by in (-1, 1, 1_000)]
    for each in (*lying, data + b"more"):
        assert decode(with_checksum(each)) is None


def test_query_string_of_any_length_is_stored() -> None:
    """API Gateway limits a URL to 8 kB, but a function can be invoked without it."""
    long = ENTRY._replace(query_string="q=" + "x" * 70_000)
    assert decode(encode(long)) == long


def test_other_version_or_program_is_a_miss_even_if_the_checksum_fits() -> None:
    data = encode(ENTRY)
    assert decode(with_checksum(data)) == ENTRY
    assert decode(with_checksum(data[:2] + bytes([FORMAT_VERSION + 1]) + data[3:])) is None
    assert decode(with_checksum(b"cb" + data[2:])) is None


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
    assert pack(SHOP[:1_023]) == (Encoding.IDENTITY, SHOP[:1_023])
    assert pack(SHOP[:1_024])[0] is Encoding.GZIP
    assert pack(noise) == (Encoding.IDENTITY, noise)
    assert pack(SHOP, compress=False) == (Encoding.IDENTITY, SHOP)
    assert pack(None) == (Encoding.IDENTITY, None)


def test_body_whose_compressed_bytes_look_like_a_huge_reply_is_not_compressed() -> None:
    body = shake_256(b"").digest(20_000) + b"\r\n*1234567" + shake_256(b"x").digest(20_000) + bytes(200_000)
    assert b"\r\n*1234567" in gzip.compress(body, 1)  # a block that does not pay is stored as it is
    assert pack(body) == (Encoding.IDENTITY, body)


def test_packed_body_is_readable_by_any_gzip_and_has_no_time() -> None:
    _, packed = pack(SHOP)
    assert packed is not None
    assert gzip.decompress(packed) == SHOP
    assert packed[4:8] == bytes(4)  # the modification time (RFC 1952): none
    assert pack(SHOP) == pack(bytes(bytearray(SHOP)))


def test_age_is_never_negative_when_clocks_differ() -> None:
    assert ENTRY.age_ms(ENTRY.created_ms - 50) == 0
