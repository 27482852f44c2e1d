"""The content codings that a caller accepts: the field Accept-Encoding (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["accepts_gzip"]

# One member of the list: a coding, and an optional weight from 0 to 1 with at most three decimals. The default is 1.
_MEMBER: Final = re.compile(
    r"[ \t]*(?P<coding>[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


@lru_cache(maxsize=100)  # browsers and libraries send a few different ones
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether to send gzip: the caller accepts it, and does not prefer a plain body.

    By the RFC, a missing field allows every coding. But most clients that send none, such as curl, decode none, so they
    get a plain body. A member that cannot be parsed is ignored, because every client can read a plain body.
    """
    weights: dict[str, float] = {}
    for member in accept_encoding.lower().split(","):
        if parsed := _MEMBER.fullmatch(member):
            weights[parsed["coding"].removeprefix("x-")] = float(parsed["weight"] or 1)
    gzip = weights.get("gzip", weights.get("*", 0))
    return gzip > 0 and gzip >= weights.get("identity", 0)
