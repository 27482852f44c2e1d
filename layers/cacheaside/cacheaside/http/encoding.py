"""What a caller can decode: the field Accept-Encoding (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["accepts_gzip"]

# One member of the list: a coding, and a weight from 0 to 1 with at most three decimals, 1 if not given.
_MEMBER: Final = re.compile(
    r"[ \t]*(?P<coding>[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether to send gzip where there is a choice: the caller takes it, and likes nothing plain better.

    A missing field would allow every coding; but those who send none, such as curl, mostly decode none. The same goes
    for a member that cannot be read: it counts for nothing, and plain is what everyone can read.
    """
    weights: dict[str, float] = {}
    for member in accept_encoding.lower().split(","):
        read = _MEMBER.fullmatch(member)
        if read:
            weights[read["coding"].removeprefix("x-")] = float(read["weight"] or 1)
    gzip = weights.get("gzip", weights.get("*", 0))
    return gzip > 0 and gzip >= weights.get("identity", 0)
