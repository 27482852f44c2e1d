"""Drafts a file of the catalogue from SQL: asks PostgreSQL for types, and the check for tags."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue_check.check import check_statements
from cacheaside.catalogue_check.facts import Facts, StatementRefused
from cacheaside.catalogue_check.findings import Finding
from cacheaside.catalogue_check.toml import toml_list, toml_string
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from cacheaside.errors import CatalogueError
from local.drafting.description import (
    Description,
    ParameterType,
    Refused,
    describe,
    infer,
    refuse_database,
    rolled_back,
)
from local.drafting.examples import add_examples
from local.drafting.fixes import find_fixes
from local.drafting.granted import inspecting_with
from local.drafting.header import with_line
from local.drafting.outline import Place
from local.drafting.parameters import DraftedParameter, catalogue_type, example_of, parameter_names
from local.drafting.source import SourceSql
from local.errors import LocalError

__all__ = ["Draft", "Wanted", "draft"]

_OPERATORS: Final = "select oid::bigint, oprname from pg_operator where oid = any (%s::oid[])"
_NO_TAGS: Final = "-- tags    = []"
_GRANTS: Final = 4  # one may be needed before the next is known
_MANY: Final = '-- returns = "many"'
# The type in SQL of each type of the catalogue whose name is another.
_SQL_TYPES: Final = {"integer": "bigint", "number": "numeric", "timestamp": "timestamptz", "enum": ""}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person says about a statement."""

    name: str
    sql: str
    is_command: bool = False
    ttl: str = "60s"
    stale: str = ""
    returns: str = ""  # "" decides by the primary key
    summary: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # examples by placeholder
    verify: bool = True
    constants: str = ""  # the description of a parameter in a place where a constant may have been


@dataclass(frozen=True, slots=True)
class Draft:
    """A file for the catalogue, with the problems that the check finds in it."""

    path: Path  # below the catalogue
    text: str
    columns: tuple[str, ...]
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def draft(connection: Connection, wanted: Wanted) -> Draft:
    """Return the draft, and leave the database as it is. Raises `LocalError` if PostgreSQL refuses the SQL."""
    source = SourceSql.parse(wanted.sql)
    try:
        with connection.cursor() as cur:
            cur.execute("set local statement_timeout = '10s'; set local timezone = 'UTC'")
            refuse_database(cur)
            with rolled_back(cur):
                described = infer(cur, source.numbered, len(source.names))
                if described.outline.writes and not wanted.is_command:
                    raise LocalError("the SQL writes, and a query only reads: give --command")
                parameters = _parameters(cur, source, described, wanted)
            _add_casts(cur, source, parameters)
            add_examples(cur, parameters)
    except Refused as refused:
        raise LocalError(f"PostgreSQL refuses the SQL: {refused}") from None
    finally:
        if not connection.closed:
            connection.rollback()
    return _checked(connection, wanted, _text(wanted, source, parameters, described), described)


def _parameters(cur: cursor, source: SourceSql, described: Description, wanted: Wanted) -> list[DraftedParameter]:
    places = [_place(described.outline.places.get(number, ())) for number in range(1, len(described.types) + 1)]
    cur.execute(_OPERATORS, [[place.operator for place in places if place]])
    operators = dict(cur.fetchall())
    names = parameter_names(source.names, places, operators)
    types = described.types
    return [
        DraftedParameter(
            name,
            kind,
            place,
            cast="" if source.is_cast(given) else catalogue_type(kind)[1],
            example=_recorded(kind, wanted.values.get(given)),
            is_optional=number in described.outline.optional,
            description="" if place or wanted.values.get(given) is not None else wanted.constants,
        )
        for number, (given, name, kind, place) in enumerate(zip(source.names, names, types, places, strict=True), 1)
    ]


def _recorded(kind: ParameterType, value: Any) -> Any:
    """Return a recorded value as an example. A text may be personal or secret, and the file is published."""
    return None if catalogue_type(kind)[0] == "text" else example_of(kind, value)


def _place(places: Sequence[Place]) -> Place | None:
    """Return the place that says most about a parameter."""
    return min(places, key=lambda place: (not place.relation, place.kind == "assigned"), default=None)


def _add_casts(cur: cursor, source: SourceSql, parameters: list[DraftedParameter]) -> None:
    """Add the casts without which PostgreSQL refuses the types of the catalogue."""
    if _is_accepted(cur, source, parameters):
        return
    without = [each for each in parameters if not each.cast]
    for group in (*([each] for each in without), without):
        for each in group:
            each.cast = each.cast_if_needed
        if _is_accepted(cur, source, parameters):
            return
        if group is not without:
            group[0].cast = ""


def _is_accepted(cur: cursor, source: SourceSql, parameters: list[DraftedParameter]) -> bool:
    written = {}
    for number, (given, each) in enumerate(zip(source.names, parameters, strict=True), 1):
        kind = catalogue_type(each.type)[0]
        sql_type = _SQL_TYPES.get(kind, kind) + ("[]" if each.type.is_list and kind != "enum" else "")
        written[given] = f"(${number}{'::' + sql_type if sql_type else ''}){'::' + each.cast if each.cast else ''}"
    pieces = [written[piece] if at % 2 else piece for at, piece in enumerate(source.pieces)]
    try:
        with rolled_back(cur):
            describe(cur, "".join(pieces))
    except Refused:
        return False
    return True


def _text(wanted: Wanted, source: SourceSql, parameters: list[DraftedParameter], described: Description) -> str:
    sql = source.in_catalogue({given: each.placeholder for given, each in zip(source.names, parameters, strict=True)})
    summary = wanted.summary or wanted.name.replace("_", " ").capitalize()
    lines = [f"-- summary = {toml_string(summary)}"]
    if not wanted.is_command:
        lines.append(f'-- ttl     = "{wanted.ttl}"')
        if wanted.stale:
            lines.append(f'-- stale   = "{wanted.stale}"')
    one = described.outline.one_row and not wanted.is_command
    returns = wanted.returns or ("one" if one else "many")
    lines.append(f'-- returns = "{returns}"')
    if not wanted.is_command:
        lines.append(_NO_TAGS)
    lines += [] if wanted.verify else ["-- verify  = false"]
    lines += [each.line for each in parameters]
    # A comment at the beginning of the SQL would be read as a part of the header.
    return "\n".join([*lines, *([""] if sql.startswith("--") else []), sql]) + "\n"


def _checked(connection: Connection, wanted: Wanted, text: str, described: Description) -> Draft:
    path = Path("commands" if wanted.is_command else "queries") / f"{wanted.name}.sql"
    with tempfile.TemporaryDirectory(prefix="cacheaside-draft-") as folder:
        file = Path(folder) / path
        file.parent.mkdir()
        try:
            file.write_text(text, encoding="utf-8")
            text = _tagged(connection, Path(folder), wanted, text, described)
            file.write_text(text, encoding="utf-8")
            fixes = find_fixes(connection, Path(folder))  # the tags of tables
            text = fixes.after.get(path, text)
            file.write_text(text, encoding="utf-8")
            with inspecting(connection) as database:
                checked = check_statements(Path(folder), database)
        except CatalogueError as error:
            raise LocalError(f"the draft is not right: {str(error).removeprefix(f'{file}:')}") from None
    problems, warnings = (
        tuple(replace(each, path=path) for each in found) for found in (checked.problems, checked.warnings)
    )
    return Draft(path, text, described.outline.columns, problems, warnings)


def _tagged(connection: Connection, folder: Path, wanted: Wanted, text: str, described: Description) -> str:
    """Return `text` with the tags of rows, and with `returns`. The check adds the tags of tables."""
    if wanted.is_command:
        return text
    query = Catalogue.load(folder).query(wanted.name)
    facts = _facts(connection, query)
    if facts is None:
        return text
    rows = dict(_row_tags(facts))
    text = with_line(text, text.split("\n").index(_NO_TAGS) + 1, f"{_NO_TAGS[:-2]}{toml_list(list(rows.values()))}")
    outer = described.outline.outer
    if not wanted.returns and len(outer) == 1 and not described.outline.expands and rows:
        with connection, connection.cursor() as cur:
            cur.execute("select cacheaside.tag(%s::oid)", outer)
            [(tag,)] = cur.fetchall()
        if tag in rows:
            text = text.replace(_MANY, _MANY.replace("many", "one"), 1)
    return text


def _facts(connection: Connection, query: Query) -> Facts | None:
    """Return the facts as if the role of queries had the rights that it lacks, or None if PostgreSQL refuses it."""
    grants: list[str] = []
    for _ in range(_GRANTS):
        try:
            with inspecting_with(connection, grants) as database:
                facts = database.facts(query)
        except StatementRefused as refused:
            if not refused.grant:
                return None
            grants.append(refused.grant)
        else:
            if set(facts.grants) <= set(grants):
                return facts
            grants += facts.grants
    return None


def _row_tags(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield each table of which every scan is of one row, with the tag of that row."""
    for name, table in facts.read.items():
        scans = [dict(sorted(scan.equal, reverse=True)) for scan in facts.scans if scan.tag == name]
        if table.key and scans and all(part.name in scans[0] for part in table.key):
            yield name, f"{name}:{','.join(f'{{{scans[0][part.name]}}}' for part in table.key)}"
