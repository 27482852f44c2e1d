"""The SQL of the first migration of an adopted database: which tables queries may read, and which are watched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from local.adoption.look import Relation

__all__ = ["NAME", "first_migration", "literal"]

NAME: Final = "0001_watch_tables.sql"

_HEAD: Final = """\
-- Written by `cacheaside init`. Edit it until it is applied somewhere; after that, put changes into a new file.
"""


def first_migration(relations: Sequence[Relation], *, all_of_schema: bool, plain_search_path: bool) -> str:
    """Return the SQL for `relations`, "" if there is nothing to do for them.

    `all_of_schema`: tables that the owner makes later can be read as well.
    """
    if all(each.unwatchable and (not each.owned or each.is_bookkeeping) for each in relations):
        return ""
    return "\n".join(_sections(relations, all_of_schema, plain_search_path))


def _sections(relations: Sequence[Relation], all_of_schema: bool, plain_search_path: bool) -> Iterator[str]:
    yield _HEAD
    if not plain_search_path:
        yield "-- The names below are those of this search path.\nset local search_path = public;\n"
    schemas = {each.schema: each for each in relations if each.schema != "public"}
    if schemas:
        yield "-- Names in other schemas than public."
    for schema, each in schemas.items():
        quoted = each.name[: each.name.index(".", len(schema))]
        if each.may_grant_schema:
            yield f"grant usage on schema {quoted} to cacheaside_query, cacheaside_command;"
        if all_of_schema and each.schema_owned:
            yield f"alter default privileges in schema {quoted} grant select on tables to cacheaside_query;"
    if schemas:
        yield ""
    readable = [each.name for each in relations if each.owned and not each.is_bookkeeping]
    if readable:
        names = ",\n    ".join(readable)
        yield f"-- Queries are run by the role cacheaside_query.\ngrant select on\n    {names}\nto cacheaside_query;\n"
    if watched := [each for each in relations if not each.unwatchable]:
        yield "-- Triggers record the changes of these tables, so that the answers made from them are invalidated."
        names = ",\n    ".join(literal(each.name) for each in watched)
        yield f"select cacheaside.watch(\n    {names}\n);"
    if others := [each for each in relations if each.unwatchable]:
        yield "\n-- Not watched:"
        yield from (f"--   {' '.join(each.name.split())}: {each.unwatchable}" for each in others)
    yield ""


def literal(text: str) -> str:
    """Return `text` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
