"""What `cacheaside init` will do with a database and the catalogue: decided, and shown, before anything changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from local.adoption import administrator
from local.adoption.first_migration import NAME, first_migration, literal
from local.adoption.look import Database, Relation, look
from local.adoption.sample import ShippedSample, read_sample
from local.catalogue_folder import CATALOGUE
from local.cli.output import table
from local.errors import LocalError
from local.postgres_urls import canonical_url, without_credentials
from local.recorded_url import recorded_url
from local.terminal import short_path
from migrate.upgrade import FUNCTIONS, read_migrations

__all__ = ["Plan", "make_plan"]

MIGRATION: Final = CATALOGUE / "migrations" / NAME
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Plan:
    url: str
    database: Database
    relations: Sequence[Relation]  # those that were chosen
    sample: ShippedSample
    migration: str | None  # the SQL of the file to write, or None if the catalogue has migrations
    to_apply: Sequence[str]  # files, without the one to write
    for_administrator: dict[str, str]  # statements, with reasons
    memberships: Sequence[str]  # the roles that the user is made a member of
    is_recorded: bool

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.sample.is_there or self.migration or self.to_apply or self.memberships or not self.is_recorded)

    @property
    def unwatched(self) -> list[str]:
        """The tables that could be watched and that no migration of the catalogue watches."""
        if self.migration or self.to_apply:
            return []
        names = [each.name for each in self.relations if not each.unwatchable]
        return [name for name in names if name not in self.database.watched]

    @property
    def warnings(self) -> Iterator[str]:
        database = self.database
        if not database.may_create_event_triggers and ("system", 12) not in database.applied:
            yield (
                f"{database.user} may not create event triggers. Without them the next sweep follows a change of the "
                "schema, within a minute, and a refresh of a materialized view is not recorded. To have them, run init "
                "as a superuser, on RDS as the master user."
            )
        if not database.takes_options:
            yield (
                "The server refuses startup options, as poolers do. Give the address of PostgreSQL itself: then the "
                "functions act as their own roles here, and a missing grant shows."
            )
        if database.closed and not database.has_iam and not self.for_administrator:
            roles = ", ".join(database.closed)
            yield (
                f"{database.user} is no member of {roles}, so a missing grant does not show here. A superuser may run: "
                f"grant {roles} to {database.user};"
            )
        if database.has_iam:
            yield (
                "A deployment on this database makes the roles members of rds_iam. From then on RDS takes no password "
                f"from a user who created them: if that is {database.user}, have it sign in with a token then."
            )
        if self.sample.edited:
            yield f"Edited files of the sample stay: {', '.join(map(_short, self.sample.edited))}."

    def document(self) -> dict[str, Any]:
        """Return the plan for a script."""
        database = self.database
        return {
            "database": without_credentials(self.url),
            "server": f"{database.kind} {database.version}",
            "user": database.user,
            "tables": [
                {"name": each.name, "rows": each.rows, "reads": each.reads, "writes": each.writes, "bytes": each.bytes}
                | {"watched": self._watched(each)}
                for each in self.relations
            ],
            "files_removed": [_short(path) for path in self.sample.shipped],
            "files_written": {_short(MIGRATION): self.migration} if self.migration else {},
            "migrations": list(self.to_apply),
            "for_administrator": list(self.for_administrator),
            "warnings": list(self.warnings),
            "nothing_to_do": self.is_done,
        }

    def text(self) -> str:
        """Return the plan for a person."""
        return "\n".join(self._sections())

    def _watched(self, relation: Relation) -> str:
        if relation.name in self.database.watched:
            return "yes"
        if relation.unwatchable:
            return f"no: {relation.unwatchable}"
        return "will be" if self.migration else "if a migration says so"

    def _sections(self) -> Iterator[str]:
        database = self.database
        rights = "a superuser" if database.is_superuser else "no superuser"
        yield f"{without_credentials(self.url)}: {database.kind} {database.version}, as {database.user}, {rights}\n"
        if self.relations:
            yield table(
                ("table", "rows", "reads", "writes", "size", "watched"),
                [_row(each, self._watched(each)) for each in self.relations],
                right=(1, 2, 3, 4),
            )
        else:
            yield "There are no tables."
        yield from (fill(f"Warning: {warning}", 110, initial_indent="\n") for warning in self.warnings)
        if self.for_administrator:
            yield f"\n{database.user} may not do all that is needed. A superuser, on RDS the master user, has to run:\n"
            yield from (f"    {statement};" for statement in self.for_administrator)
            return
        if self.is_done:
            yield from (
                f"\n{' '.join(name.split())} is not watched: put into a new migration: "
                f"select cacheaside.watch({literal(name)});"
                for name in self.unwatched
            )
            yield "\nNothing to do: all of this is there already."
            return
        yield "\nInto the database go, unless they are there already:"
        yield "  schema    cacheaside: the recorded changes, and the functions that record them"
        yield "  roles     cacheaside_query, cacheaside_command, cacheaside_invalidate, without passwords"
        if self.memberships:
            yield f"  member    {database.user} becomes a member of {', '.join(self.memberships)}"
        if database.may_create_event_triggers:
            yield "  events    event triggers cacheaside_follow_schema and cacheaside_follow_drop"
        yield "  triggers  four on each watched table. A statement that writes to it also records what it changed: some"
        yield "            0.2 ms. They are created in one transaction. It waits up to 10 s for each table's writers."
        yield "            Until it ends, other writers of these tables wait: some seconds for hundreds of tables"
        yield f"  rights    as in the migration; cacheaside_query may read what {database.user} makes in public later"
        yield "`cacheaside remove` takes all of it out again."
        if self.sample.shipped:
            yield "\nRemoved from the catalogue, because they are of the sample:"
            yield from (f"  {_short(path)}" for path in self.sample.shipped)
        if self.migration:
            yield f"\nWritten: {_short(MIGRATION)}\n"
            yield from (f"    {line}".rstrip() for line in self.migration.splitlines())
        elif not self.relations:
            yield "\nNo migration is written: run the same command again when there are tables."
        if files := [file for file in self.to_apply if file.startswith("catalogue/")]:
            yield f"\nApplied as they are: {', '.join(files)}"
            if f"catalogue/migrations/{NAME}" in files:
                yield f"Remove {_short(MIGRATION)} to have it written anew."
        yield "\nThe URL is recorded in cacheaside.env, which git ignores."


def make_plan(url: str, schemas: Collection[str], tables: Collection[str]) -> Plan:
    """Look at the database and at the catalogue. Raises `LocalError` where it cannot work."""
    url = canonical_url(url)
    database, sample = look(url), read_sample(CATALOGUE)
    relations = _chosen(database.relations, schemas, tables)
    if tables and (refused := [each for each in relations if each.unwatchable and each.kind not in "vm"]):
        raise LocalError("\n".join(f"{each.name} cannot be watched: {each.unwatchable}" for each in refused))
    migrations = [each for each in read_migrations(FUNCTIONS) if FUNCTIONS / each.file not in sample.shipped]
    has_own = any(each.series == "catalogue" for each in migrations)
    if ("system", 1) in database.applied and any(each.startswith("create role") for each in database.missing):
        raise LocalError(
            "the schema cacheaside is there, and its roles are not: was the database restored from a dump? "
            "Run `cacheaside remove`, then start again"
        )
    if not has_own and any(series == "catalogue" for series, _number in database.applied):
        raise LocalError(
            "the database has the migrations of another catalogue: take that one, or run `cacheaside remove` first"
        )
    return Plan(
        url,
        database,
        relations,
        sample,
        migration=None
        if has_own
        else first_migration(relations, all_of_schema=not tables, plain_search_path=database.plain_search_path) or None,
        to_apply=[each.file for each in migrations if each.key not in database.applied],
        for_administrator=administrator.needed(database, () if has_own else relations),
        memberships=() if database.has_iam else database.joinable,
        is_recorded=recorded_url() == url,
    )


def _chosen(relations: Sequence[Relation], schemas: Collection[str], tables: Collection[str]) -> list[Relation]:
    if unknown := set(schemas) - {each.schema for each in relations}:
        raise LocalError(f"no schema with tables is called {', '.join(sorted(unknown))}")
    listed = [each for each in relations if not schemas or each.schema in schemas]
    if not tables:
        return listed
    chosen = []
    for name in tables:
        found = [each for each in listed if name in (each.name, each.plain_name, f"{each.schema}.{each.plain_name}")]
        if not found:
            near = get_close_matches(name, [each.name for each in listed], n=3)
            raise LocalError(f"there is no table {name}" + (f": is it {' or '.join(near)}?" if near else ""))
        exact = [each for each in found if each.name == name] or found
        if len(exact) > 1:
            raise LocalError(f"{name} is the name of {' and '.join(each.name for each in exact)}: give one of them")
        chosen += exact
    return chosen


def _row(each: Relation, watched: str) -> tuple[str, ...]:
    counts = (f"{each.rows:,}", f"{each.reads:,}", f"{each.writes:,}", _size(each.bytes))
    return " ".join(each.name.split()), *counts, watched


def _size(count: float) -> str:
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}"


def _short(path: Path) -> str:
    return str(short_path(path))
