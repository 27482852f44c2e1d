"""The columns of a statement's rows, as PostgreSQL describes them. The documents of the API type the rows with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from cacheaside.catalogue.statements import Query, Statement

__all__ = ["Column", "Described", "RowTypes", "fingerprint", "place_of"]


class Column(NamedTuple):
    """One column: its type as PostgreSQL names it, the JSON Schema of its values, and an example of one."""

    name: str
    type: str  # such as numeric or text[]
    schema: Mapping[str, Any]
    example: Any


class Described(NamedTuple):
    """A statement as PostgreSQL described it at the last deployment."""

    columns: tuple[Column, ...]
    # By declared tag, a statement that changes nothing and invalidates the tag. A tag of a row has placeholders:
    # {"products:{id}": "update products set id = id where id = {id}"}. There is none for a view or a function.
    touches: Mapping[str, str] = {}


# By the place of the statement, such as queries/product. A statement that was not described yet is missing.
RowTypes = Mapping[str, Described]


def place_of(statement: Statement) -> str:
    """Return the place of a statement in the catalogue, such as queries/product."""
    return f"{'queries' if isinstance(statement, Query) else 'commands'}/{statement.name}"


def fingerprint(statement: Statement) -> str:
    """Return a text that differs between two statements of one place if they may be described differently."""
    parameters = sorted((each.name, each.type, each.is_list) for each in statement.parameters.values())
    tags = statement.tags if isinstance(statement, Query) else ()
    return blake2b(json.dumps([statement.sql, tags, parameters]).encode(), digest_size=16).hexdigest()
