"""Invalidation by hand: an operator sends POST /invalidations with tags, or with one query and its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_json
from cacheaside.catalogue.tags import changed_tags, spellings
from cacheaside.errors import BadBody
from cacheaside.reading.question import Question

__all__ = ["invalidate"]

_TAGS_PER_REQUEST: Final = 100


class InvalidatedCache(Protocol):
    """The cache. Each method returns how many tags or entries it found, or raises CacheUnavailable."""

    def invalidate_tags(self, tags: Sequence[str]) -> int: ...
    def invalidate_entry(self, entry: str, lease: str) -> bool: ...


def invalidate(cache: InvalidatedCache, catalogue: Catalogue, request: Mapping[str, object]) -> dict[str, int]:
    """Invalidate the answers of `request`: `{"tags": [...]}`, or `{"query": name, "params": {...}}`.

    Returns how many of the tags were in the cache, or how many answers were deleted. Raises BadBody, UnknownStatement,
    BadParameters or CacheUnavailable.
    """
    match dict(request):
        case {"tags": list(tags), **rest} if not rest:
            return {"tags": cache.invalidate_tags(changed_tags(_checked(tags)))}
        case {"query": str(name), **rest} if not rest.keys() - {"params"}:
            query = catalogue.query(name)
            keys = Question(query, bind_json(query.parameters, _params(rest.get("params", {})), None)).keys
            return {"answers": int(cache.invalidate_entry(keys.entry, keys.lease))}
    raise BadBody('send {"tags": ["products:42"]}, or {"query": "product", "params": {"id": 42}}')


def _checked(tags: list[object]) -> list[str]:
    good = [spellings(tag) if isinstance(tag, str) else [] for tag in tags]
    if not all(good) or not 1 <= len(tags) <= _TAGS_PER_REQUEST:
        raise BadBody(
            f'tags must be 1 to {_TAGS_PER_REQUEST} tables as PostgreSQL prints them, "products" or '
            '"\\"InvoiceLine\\"", or rows of one, "products:42"'
        )
    return [change for each in good for change in each]


def _params(params: object) -> dict[str, object]:
    if not isinstance(params, dict):
        raise BadBody('params must be an object with the parameters of the query, such as {"id": 42}')
    return params
