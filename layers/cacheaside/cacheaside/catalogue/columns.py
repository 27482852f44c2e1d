"""The columns of a statement's rows, as PostgreSQL describes them. The documents of the API type the rows with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Column", "RowTypes"]


class Column(NamedTuple):
    """One column: its type as PostgreSQL names it, the JSON Schema of its values, and an example of one."""

    name: str
    type: str  # such as numeric or text[]
    schema: Mapping[str, Any]
    example: Any


# By the place of the statement, such as queries/product. A statement that was not described yet is missing.
RowTypes = Mapping[str, tuple[Column, ...]]
