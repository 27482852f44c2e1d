"""Idempotency keys: which headers are one, and which requests may use the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cacheaside.errors import BadIdempotencyKey
from cacheaside.writing.idempotency import Idempotency

VALUES: dict[str, Any] = {"id": 42, "price": Decimal("9.99")}


def of(header: str = "k", command: str = "set_price", values: Any = VALUES, caller: str = "alice") -> Idempotency:
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
    assert of(header).key == key


@pytest.mark.parametrize(
    "header",
    [
        *("", '"', '""', "two words", '"two words"', '"a', 'a"b" c', '"a"b"', '"a\\b"', '"a\\"'),
        *("a\tb", "a\x7f", "\u00e9", "x" * 256, f'"{"x" * 256}"'),
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(BadIdempotencyKey, match="1 to 255 visible ASCII characters"):
        of(header)


def test_same_request_has_the_same_fingerprint_whatever_the_key_and_the_order() -> None:
    reordered = dict(reversed(VALUES.items()))
    assert of("one").fingerprint == of("another", values=reordered).fingerprint
    assert len(of().fingerprint) == 32


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
    assert of(**other).fingerprint != of().fingerprint
