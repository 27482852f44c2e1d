"""The API that the suite calls: a deployed stack, or a running one."""

from __future__ import annotations

from collections.abc import Mapping

from local.live.http import unsigned
from local.live.target import TOKEN, Target, api_of, bearer

__all__ = ["of_environment"]


def of_environment(environment: Mapping[str, str]) -> Target | None:
    """Return the API that STACK or API_URL names, None without either."""
    if name := environment.get("STACK"):
        return api_of(name, environment)
    if url := environment.get("API_URL"):
        token = environment.get(TOKEN)
        return Target(url=url, authorize=bearer(token) if token else unsigned)
    return None
