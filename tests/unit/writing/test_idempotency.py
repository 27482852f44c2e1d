"""Idempotency keys: the valid headers, and the requests that may share a key."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cacheaside.errors import BadIdempotencyKey
from cacheaside.writing.idempotency import Idempotency

VALUES: dict[str, Any] = {"id": 42, "price": Decimal("9.99")}


def parsed(header: str = "k", command: str = "set_price", values: Any = VALUES, caller: str = "alice") -> Idempotency:
    return Idempotency.of(header, command, values, caller)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (" k ", "k"),
        ("!~", "!~"),
        ('a"b\\c', 'a"b\\c'),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
        ('"' + "\\\\" * 255 + '"', "\\" * 255),
    ],
)
def test_header_is_a_key_with_and_without_quotes(header: str, key: str) -> None:
    assert parsed(header).key == key


@pytest.mark.parametrize(
    "header",
    [
        *("", '"', '""', "two words", '"two words"', '"a', 'a"b" c', '"a"b"', '"a\\b"', '"a\\"'),
        *("a\tb", "a\x7f", "\u00e9", "x" * 256, f'"{"x" * 256}"'),
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(BadIdempotencyKey, match="1 to 255 visible ASCII characters"):
        parsed(header)


def test_fingerprint_depends_neither_on_the_key_nor_on_the_order_of_values() -> None:
    reordered = dict(reversed(VALUES.items()))
    assert parsed("one").fingerprint == parsed("another", values=reordered).fingerprint
    assert len(parsed().fingerprint) == 32


def test_fingerprint_does_not_change_while_a_key_is_kept() -> None:
    """A deployment between a request and its repetition must not make it look like another request."""
    assert parsed().fingerprint == "238674e3fb33f5f5716d7122e4308846"


@pytest.mark.parametrize(
    "other",
    [
        {"command": "set_prices"},
        {"caller": "bob"},
        {"caller": ""},
        {"values": {**VALUES, "id": 43}},
        {"values": {**VALUES, "id": "42"}},
        {"values": {"id": 42}},
        {"values": {**VALUES, "price": None}},
        {"values": {"id": 42, "price": [Decimal("9.99")]}},
    ],
)
def test_other_request_has_another_fingerprint(other: Any) -> None:
    assert parsed(**other).fingerprint != parsed().fingerprint
