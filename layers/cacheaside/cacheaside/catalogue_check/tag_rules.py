"""The rules of tags: they must match the tables that the query reads. A change without its tag leaves answers stale.

    the query reads, or calls               its tags must have
    a table, a materialized view            products, or products:{id} if it reads no other row of it; and no more
    a function with known dependencies      the tables that the function reads
    any other function                      slow_version, and the tables that its author says it reads

Triggers must record the changes of all these tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cacheaside.catalogue.sql_file import SqlFile
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import parameters_of, table_of
from cacheaside.catalogue_check.facts import DatabaseObject, Facts, KeyColumn, ObjectKind
from cacheaside.catalogue_check.findings import Fix, Message
from cacheaside.catalogue_check.toml import toml_list

__all__ = ["objects_read", "row_objection", "tag_problems", "unrecorded"]

# The column types in which equal values of a parameter's type have equal text in a tag.
_COLUMN_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset(["smallint", "integer", "bigint"]),
    "text": frozenset(["text", "character varying", "enum"]),
    "enum": frozenset(["text", "character varying", "enum"]),
    "uuid": frozenset(["uuid"]),
    "date": frozenset(["date"]),
    "boolean": frozenset(["boolean"]),
}
_TAGS_SETTING: Final = re.compile(r"--\s*tags\s*=\s*")


def tag_problems(query: Query, file: SqlFile, facts: Facts) -> Iterator[Message]:
    """Yield the errors in the tags of `query`, each with the line to write instead."""
    wrong: list[str] = []
    right: dict[str, None] = {}
    printed = {written: each.tag for written, each in facts.declared.items()}
    tags = [printed.get(table_of(tag), table_of(tag)) + tag[len(table_of(tag)) :] for tag in query.tags]
    for written, tag in zip(query.tags, tags, strict=True):
        name = table_of(tag)
        if written != tag:
            wrong.append(f"the tag {written} is not as PostgreSQL prints it, {tag}")
        if table_of(written) not in facts.declared:
            wrong.append(f"{_shown(tag)} names no table, materialized view or function")
        elif name not in facts.read and not facts.opaque:
            wrong.append(f"the query does not read {name}")
        elif objection := row_objection(tag, tags, query, facts):
            wrong.append(f"{_shown(tag)} is not enough: {objection}")
            right[name] = None
        else:
            right[tag] = None
    declared = {table_of(tag) for tag in tags}
    for name in sorted(facts.read.keys() - declared):
        wrong.append(f"the query reads {name}, which is not among its tags")
        right[name] = None
    for name in sorted(facts.opaque.keys() - declared):  # with the tag an operator can invalidate the answers
        hides = f"the query calls {name}, which hides what it reads"
        wrong.append(f"{hides}: tag it, and beside it the tables that it reads")
        right[name] = None
    line = _tags_setting(file, list(right))
    return ((f"{message}; write {line}", Fix(header=line)) for message in wrong)


def unrecorded(table: DatabaseObject) -> Message | None:
    """Return a message with the remedy if changes of a table are not recorded, or None if they are."""
    if table.recorded:
        return None
    if table.kind is ObjectKind.MATERIALIZED_VIEW:
        return (
            f"a refresh of {table.tag} is not recorded: the event trigger cacheaside_follow_schema is missing or not "
            "enabled; a superuser makes it as in migrate/system/0012_event_triggers.sql, or does: "
            "alter event trigger cacheaside_follow_schema enable always;",
            None,
        )
    if table.refusal:
        return f"changes of {table.tag} are not recorded: {table.refusal}", None
    literal = table.name.replace("'", "''")
    watch = f"select cacheaside.watch('{literal}');"
    return f"changes of {table.tag} are not recorded; put into a migration: {watch}", Fix(statement=watch)


def objects_read(query: Query, facts: Facts) -> Iterator[DatabaseObject]:
    """Yield the tables that the query reads, and the tagged tables that its opaque functions read."""
    yield from facts.read.values()
    if facts.opaque:
        declared = (facts.declared.get(table_of(tag)) for tag in query.tags)
        yield from (each for each in declared if each is not None and each.kind is not ObjectKind.FUNCTION)


def row_objection(tag: str, tags: list[str], query: Query, facts: Facts) -> str | None:
    """Return why the tag of a row does not cover all rows of the table that the query reads, or None if it does.

    `tags` are all tags of the query, as PostgreSQL prints them.
    """
    table, names = table_of(tag), parameters_of(tag)
    if not names or table in tags:
        return None
    key = next(each.key for each in (*facts.declared.values(), *facts.read.values()) if each.tag == table)
    if not key:
        return f"{table} has no primary key that could name a row"
    if not _is_key(names, key, query):
        given = ", ".join(f"{name} {query.parameters[name].type}" for name in names)
        return f"the primary key of {table} is ({', '.join(f'{part.name} {part.type}' for part in key)}), not ({given})"
    if table in facts.out_of_plan:
        return f"{table} is read by a function or a policy, and nothing tells which rows"
    if table in facts.unscanned:
        return f"PostgreSQL's plan leaves out a scan of {table}, so nothing tells which rows that scan may read one day"
    rows = [parameters_of(other) for other in tags if table_of(other) == table]
    for scan in facts.scans:
        if scan.tag == table and not any(
            _is_key(row, key, query) and {(part.name, name) for part, name in zip(key, row, strict=True)} <= scan.equal
            for row in rows
        ):
            return f"the query reads, or may read, other rows of {table}"
    return None


def _is_key(names: list[str], key: tuple[KeyColumn, ...], query: Query) -> bool:
    """Return whether the parameters' values have the same text in a tag as the key's values in the outbox."""
    return len(names) == len(key) and all(
        part.type in _COLUMN_TYPES.get(query.parameters[name].type, ()) for name, part in zip(names, key, strict=True)
    )


def _shown(tag: str) -> str:
    return tag if '"' in tag else f'"{tag}"'


def _tags_setting(file: SqlFile, tags: list[str]) -> str:
    existing = _TAGS_SETTING.match(file.header_lines[file.line_of("tags") - 1])
    start = existing[0].rstrip() if existing else "-- tags ="
    return f"{start} {toml_list(tags)}"
