"""Claims: what the caller's token says about the caller. `params.user = { type = "text", source = "claim:sub" }`.

API Gateway checks the token, and passes each claim on as text. It writes a list as its items with spaces between, in
brackets: [a b]. The list of `a b` looks the same, so a list has no value here. Neither has an object, map[a:b], nor a
claim that is null, <nil>. A claim is one value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cacheaside.errors import Unauthenticated, WrongClaim

__all__ = ["NO_CLAIMS", "Claims", "claim_named", "claim_of"]

# By name. It is empty if the request had no token, or if the route does not ask for one.
Claims = Mapping[str, str]
NO_CLAIMS: Final[Claims] = {}

# The name of a claim may be a URL, or have a colon, as in cognito:username.
_SOURCE: Final = re.compile(r"claim:([!-~]{1,200})")


def claim_named(source: object) -> str:
    """Return the claim that a declared `source` names. Raises ValueError."""
    match = _SOURCE.fullmatch(source) if isinstance(source, str) else None
    if match is None:
        raise ValueError('source must name a claim of the token, such as "claim:sub"')
    return match[1]


def claim_of(claims: Claims, name: str) -> str:
    """Return the text of a claim. Raises Unauthenticated without any claims, and WrongClaim if it has no value."""
    if not claims:
        raise Unauthenticated("the answer depends on who asks: send a bearer token that this API accepts")
    value = claims.get(name, "")
    if not value:
        raise WrongClaim(f"the token has no claim {name}")
    if (value.startswith(("[", "map[")) and value.endswith("]")) or value == "<nil>":
        raise WrongClaim(f"the claim {name} of the token is a list, an object or null, and one value is needed")
    return value
