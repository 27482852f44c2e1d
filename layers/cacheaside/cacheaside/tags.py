"""Tags: what an answer was made from. A tag is a table, or one row of a table: `orders`, `products:{id}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cacheaside.parameters import Parameter, Value, canonical

__all__ = ["TAGS_AT_MOST", "check_tag", "resolve_tags"]

# Every tag is one more key in the round trip of a hit.
TAGS_AT_MOST: Final = 8

_TAG: Final = re.compile(r"[a-z_][a-z0-9_$.]*(?::\{([a-z_][a-z0-9_]*)\})?")


def check_tag(tag: object, parameters: Mapping[str, Parameter]) -> None:
    """Raise ValueError, saying what to write instead, unless `tag` is a table or a row named by one parameter."""
    match = _TAG.fullmatch(tag) if isinstance(tag, str) else None
    if match is None:
        raise ValueError(f'{tag!r} is not a tag; write a table, "orders", or a row of one, "products:{{id}}"')
    if match[1] is None:
        return
    parameter = parameters.get(match[1])
    if parameter is None:
        raise ValueError(f"tag {tag!r} names the parameter {match[1]}, which is not declared")
    if parameter.is_list or (not parameter.required and parameter.default is None):
        raise ValueError(f"tag {tag!r} needs the parameter {match[1]} to be one value that is always there")


def resolve_tags(tags: Sequence[str], values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the tags with parameter values in place: `products:{id}` becomes `products:42`."""
    return tuple(tag.format_map({name: _text(value) for name, value in values.items()}) for tag in tags)


def _text(value: Value) -> str:
    text = canonical(value)
    return str(text).lower() if isinstance(text, bool) else str(text)
