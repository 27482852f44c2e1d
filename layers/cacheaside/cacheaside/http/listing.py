"""The catalogue as GET /queries lists it."""

from __future__ import annotations

from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.http.schemas import describe_parameter
from cacheaside.settings import ApiSettings

__all__ = ["describe_command", "describe_query", "listing"]


def listing(catalogue: Catalogue, api: ApiSettings) -> dict[str, Any]:
    """Return one item of `data` for each query, of `commands` for each command, and of `errors` for each wrong file.

    `api` says how requests are authorized, and whether queries can be asked without the cache.
    """
    errors = [{"place": error.place, "detail": error.reason} for error in catalogue.errors]
    return {
        "data": [describe_query(query, api) for query in catalogue.queries.values()],
        "commands": [describe_command(command, api) for command in catalogue.commands.values()],
        "api": {
            "reads": api.reads.value,
            "writes": api.writes.value,
            "direct": api.developer_mode,
            **({"region": api.region} if api.region else {}),
        },
        **({"errors": errors} if errors else {}),
    }


def describe_query(query: Query, api: ApiSettings) -> dict[str, Any]:
    """Return a query as the documents of the API describe it. Times are in seconds."""
    policy = query.policy
    return {
        **_describe(query, api),
        "ttl": policy.ttl_ms / 1000,
        "stale": policy.stale_ms / 1000,
        "stale_if_error": policy.stale_if_error_ms / 1000,
        "negative_ttl": policy.negative_ttl_ms / 1000,
        "client": policy.client_ms / 1000,
        "tags": list(query.tags),
    }


def describe_command(command: Command, api: ApiSettings) -> dict[str, Any]:
    """Return a command as the documents of the API describe it. Times are in seconds."""
    return _describe(command, api)


def _describe(statement: Statement, api: ApiSettings) -> dict[str, Any]:
    return {
        "name": statement.name,
        "summary": statement.summary,
        "returns": statement.returns,
        "timeout": statement.timeout_ms / 1000,
        "parameters": {name: describe_parameter(parameter) for name, parameter in statement.parameters.items()},
        **({"sql": statement.sql} if api.developer_mode else {}),
    }
