"""The claims of a bearer token as API Gateway passes them on. Here no token is checked: each caller is whom it names.

A token for a try has a body and nothing else: `.$(printf '{"sub": "alice"}' | base64).`
"""

import base64
import json
from typing import Any

__all__ = ["unchecked_claims"]


def unchecked_claims(authorization: str) -> dict[str, str]:
    """Return the claims in the header Authorization as text. There are none if it has no token that can be read."""
    scheme, _, token = authorization.partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3:
        return {}
    body = parts[1].replace("+", "-").replace("/", "_").rstrip("=")
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return {name: _text(value) for name, value in claims.items()} if isinstance(claims, dict) else {}
    except (ValueError, RecursionError):
        return {}


def _text(value: Any) -> str:
    """Return a claim in the notation of API Gateway: a list is [a b], an object map[a:b], and null <nil>."""
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_text(each)}' for name, each in sorted(value.items()))}]"
    if value is None:
        return "<nil>"
    return value if isinstance(value, str) else json.dumps(value).removesuffix(".0")
