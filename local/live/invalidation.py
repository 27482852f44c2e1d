"""POST /invalidations: its bodies, and what its answers mean."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

from cacheaside.catalogue.parameters import Value, canonical
from cacheaside.reading.question import Question
from local.errors import LocalError
from local.live.http import send
from local.live.target import Target

__all__ = ["body_of_question", "body_of_tags", "invalidate"]


def body_of_tags(tags: Sequence[str]) -> str:
    """Return the body that invalidates all answers made from any of `tags`."""
    return json.dumps({"tags": list(tags)}, ensure_ascii=False)


def body_of_question(question: Question) -> str:
    """Return the body that deletes one answer. Its numbers have all their digits."""
    values = {name: value for name, value in question.values.items() if value is not None}
    params = ", ".join(f"{json.dumps(name)}: {_as_json(value)}" for name, value in values.items())
    return f'{{"query": {json.dumps(question.query.name)}, "params": {{{params}}}}}'


def invalidate(api: Target, body: str) -> Mapping[str, int]:
    """Return how many `tags` were in the cache, or `answers` deleted. Raises `LocalError` if the API refuses."""
    headers = {"content-type": "application/json"}
    try:
        response = send("POST", f"{api.url}/invalidations", api.authorize, body=body.encode(), headers=headers)
    except (OSError, http.client.HTTPException) as error:
        raise LocalError(f"{api.url} does not answer ({error}): is it running?") from None
    if response.status != 200:
        raise LocalError(f"POST {api.url}/invalidations: {response}")
    counts: Mapping[str, int] = json.loads(response.body)["data"]
    return counts


def _as_json(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(canonical(value), ensure_ascii=False)
