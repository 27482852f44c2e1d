"""Idempotency keys: a caller may send a request again if no response came. The command is carried out once.

The header is that of draft-ietf-httpapi-idempotency-key-header. The transaction that writes also stores the key and its
fingerprint in PostgreSQL: see `cacheaside.drivers.postgres.commands`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

from cacheaside.catalogue.parameters import Value, canonical
from cacheaside.errors import BadIdempotencyKey

__all__ = ["Idempotency"]

_LENGTH_AT_MOST: Final = 255
# API Gateway joins two headers with a comma. So a comma means two keys, which are refused.
_BARE: Final = re.compile(r"[!#-+\--~][!-+\--~]*")
_QUOTED: Final = re.compile(r'"((?:[!#-+\--\[\]-~]|\\["\\])+)"')  # a string of RFC 8941, without spaces
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key, and the fingerprint of the one request that it belongs to."""

    key: str
    fingerprint: str

    @classmethod
    def of(cls, header: str, command: str, values: Mapping[str, Value], caller: str) -> Self:
        """Return the key in `header`, with the fingerprint of this request by `caller`. Raises BadIdempotencyKey."""
        return cls(_key(header.strip()), _fingerprint(command, values, caller))


def _key(header: str) -> str:
    """Return the key without its quotes. The draft requires quotes, and few clients send them."""
    if quoted := _QUOTED.fullmatch(header):
        key = _ESCAPED.sub(r"\1", quoted[1])
    else:
        key = header if _BARE.fullmatch(header) else ""
    if not 1 <= len(key) <= _LENGTH_AT_MOST:
        raise BadIdempotencyKey(
            f"Idempotency-Key must be one key of 1 to {_LENGTH_AT_MOST} visible ASCII characters without a comma, "
            "such as a UUID"
        )
    return key


def _fingerprint(command: str, values: Mapping[str, Value], caller: str) -> str:
    identity = [command, {name: canonical(value) for name, value in values.items()}, caller]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
