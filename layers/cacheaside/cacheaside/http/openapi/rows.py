"""The answers of queries and commands, typed as PostgreSQL described their columns at the deployment."""

from __future__ import annotations

from typing import Any

from cacheaside.catalogue.columns import Described
from cacheaside.catalogue.statements import Query, Statement
from cacheaside.http.schemas import chosen_by_caller, parameters_schema

__all__ = ["answer_content", "parameters_name", "row_name", "schemas_of"]

Json = dict[str, Any]


def row_name(statement: Statement) -> str:
    """Return the name of the schema of a row."""
    return f"{statement.name}_{'row' if isinstance(statement, Query) else 'result'}"


def parameters_name(statement: Statement) -> str:
    """Return the name of the schema of the parameters in a body."""
    return f"{statement.name}_{'parameters' if isinstance(statement, Query) else 'body'}"


def schemas_of(statement: Statement, described: Described | None) -> Json:
    """Return the schemas of a statement by name. A row whose columns are not known is any object."""
    row: Json = {"type": "object"}
    if described is not None:
        row["required"] = [column.name for column in described.columns]
        row["properties"] = {column.name: dict(column.schema) for column in described.columns}
    parameters = statement.parameters
    if not isinstance(statement, Query):  # an invalidation of a query names the claims of the caller too
        parameters = chosen_by_caller(parameters)
    return {row_name(statement): row, parameters_name(statement): parameters_schema(parameters)}


def answer_content(statement: Statement, described: Described | None) -> Json:
    """Return schema and example of the body of an answer. Without columns there is no example."""
    row: Json = {"$ref": f"#/components/schemas/{row_name(statement)}"}
    data = row if statement.returns == "one" else {"type": "array", "items": row}
    properties: Json = {"data": data}
    example: Json = {}
    if described is not None:
        values = {column.name: column.example for column in described.columns}
        example = {"data": values if statement.returns == "one" else [values]}
    if not isinstance(statement, Query):
        properties["invalidation"] = {
            "type": "string",
            "enum": ["done", "pending"],
            "description": "Whether the answers that the change made old are invalidated, or soon will be.",
        }
        example |= {"invalidation": "done"} if example else {}
    answer = {"type": "object", "required": [*properties], "properties": properties}
    return {"schema": answer, **({"example": example} if example else {})}
