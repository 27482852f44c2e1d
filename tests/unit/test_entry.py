"""The wire format. A snapshot of its bytes stands here, because entries outlive the code that wrote them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.entry import Entry, decode, encode, entity_tag

BODY = b'{"data":[{"id":1}]}'
ENTRY = Entry(
    body=BODY,
    created_ms=1_700_000_000_000,
    fresh_until_ms=1_700_000_060_000,
    load_ms=5_003,
    token=bytes(range(16)),
    tag_versions=(b"A" * 16, b"B" * 16),
    etag=entity_tag(BODY),
)

VERSION_1 = (
    bytes.fromhex(
        "636101017a8199e80000018bcfe568000000018bcfe652600000138b000102030405060708090a0b0c0d0e0fe5892daa"
        "3471243c635240aa3bed72da024141414141414141414141414141414142424242424242424242424242424242"
    )
    + BODY
)


def test_bytes_of_format_1_are_what_they_always_were() -> None:
    assert encode(ENTRY) == VERSION_1


def test_what_was_written_is_read() -> None:
    assert decode(encode(ENTRY)) == ENTRY


def test_no_such_row_is_not_an_empty_body() -> None:
    absent = Entry(**{**_fields(ENTRY), "body": None})
    empty = Entry(**{**_fields(ENTRY), "body": b""})
    assert decode(encode(absent)) == absent
    assert decode(encode(empty)) == empty


def test_every_truncation_is_a_miss() -> None:
    data = encode(ENTRY)
    assert all(decode(data[:length]) is None for length in range(len(data)))


def test_every_flipped_bit_is_a_miss() -> None:
    data = encode(ENTRY)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        assert decode(bytes(changed)) is None, f"bit {position}"


def test_future_version_is_a_miss() -> None:
    data = bytearray(encode(ENTRY))
    data[2] += 1
    assert decode(bytes(data)) is None


@given(st.binary(max_size=300))
def test_foreign_bytes_are_a_miss_and_never_an_error(data: bytes) -> None:
    assert decode(data) is None


def test_age_is_never_negative_when_clocks_differ() -> None:
    assert ENTRY.age_ms(ENTRY.created_ms - 50) == 0


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in Entry.__slots__}
