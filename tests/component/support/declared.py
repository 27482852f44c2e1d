"""Queries and commands that are in no file, in the catalogue of a running function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from cacheaside.catalogue.parameters import Parameter
from tests.component.support.api import Api
from tests.support.answer import Answer

__all__ = ["declared", "declared_command", "declared_query"]


def declared(**types: str) -> dict[str, Parameter]:
    """Return required parameters of these types, such as x="integer[]"."""
    return {
        name: Parameter(name=name, type=kind.removesuffix("[]"), is_list=kind.endswith("[]"))
        for name, kind in types.items()
    }


def declared_query(api: Api, sql: str, changes: dict[str, Any] | None = None, **types: str) -> Callable[..., Answer]:
    """Declare the query `declared`. `changes` replace fields of the query. Returns a function that asks it."""
    queries = api.module("QueryFunction").catalogue.queries
    fields: dict[str, Any] = {"tags": (), "returns": "many", "parameters": declared(**types), **(changes or {})}
    queries["declared"] = queries["product"]._replace(name="declared", sql=sql, **fields)
    return lambda **values: api.get(f"/queries/declared?{urlencode(values, doseq=True)}".rstrip("?"))


def declared_command(api: Api, sql: str, changes: dict[str, Any] | None = None, **types: str) -> Callable[..., Answer]:
    """Declare the command `declared`. Returns a function that calls it."""
    commands = api.module("CommandFunction").catalogue.commands
    fields: dict[str, Any] = {"returns": "many", "parameters": declared(**types), **(changes or {})}
    commands["declared"] = commands["set_price"]._replace(name="declared", sql=sql, **fields)
    return lambda **values: api.post("/commands/declared", values)
