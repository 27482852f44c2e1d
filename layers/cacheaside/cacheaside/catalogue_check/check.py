"""Checks each statement of a catalogue. `FactSource` is implemented in drivers/postgres/introspection.

each statement    PostgreSQL accepts it from its role, its columns have different names, and its callers have claims
each query        its tags match the tables that it reads, and its answers can be used and verified
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.sql_file import SqlFile, read_sql_file
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.catalogue_check.facts import Facts, StatementFacts, StatementRefused
from cacheaside.catalogue_check.findings import CatalogueCheck, Finding, Fix, Message
from cacheaside.catalogue_check.statement_rules import (
    claim_problems,
    freshness_warnings,
    statement_problems,
    steadiness_warnings,
)
from cacheaside.catalogue_check.tag_rules import objects_read, tag_problems, unrecorded
from cacheaside.settings import Authorization, Callers

__all__ = ["FactSource", "check_statements"]

_UNKNOWN: Final = Callers()


class FactSource(Protocol):
    """A database that knows what a statement reads, and whether its role may run it."""

    def facts(self, query: Query) -> Facts:
        """Return the facts about `query`. Raises StatementRefused."""

    def command_facts(self, command: Command) -> StatementFacts:
        """Return the facts about `command`. Raises StatementRefused."""


def check_statements(folder: Path, database: FactSource, callers: Callers = _UNKNOWN) -> CatalogueCheck:
    """Check every statement of the catalogue in `folder`. A file that is not a valid one is a problem of its own.

    A table that is not watched is reported once, for the first query that reads it. So is a role that cannot be taken.
    `callers` are those of the stack that will have the catalogue, if that is known.
    """
    catalogue = Catalogue.load(folder)
    check = _Check(database, callers)
    check.problems += [Finding(error.path, error.line, error.reason) for error in catalogue.errors]
    for name, query in catalogue.queries.items():
        check.query(query, read_sql_file(folder / "queries" / f"{name}.sql"))
    for name, command in catalogue.commands.items():
        check.command(command, read_sql_file(folder / "commands" / f"{name}.sql"))
    return CatalogueCheck(
        len(catalogue.queries), len(check.objects), tuple(sorted(check.problems)), tuple(sorted(check.warnings))
    )


class _Check:
    """Collects the findings."""

    def __init__(self, database: FactSource, callers: Callers) -> None:
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self.objects: set[str] = set()  # by their tags
        self._database = database
        self._callers = callers
        self._objections: set[str] = set()

    def query(self, query: Query, file: SqlFile) -> None:
        self._claims(query, self._callers.reads, "ReadAuthorization", file)
        try:
            facts = self._database.facts(query)
        except StatementRefused as refused:
            self._refused(refused, file)
            return
        self._statement(facts, file)
        messages = [*tag_problems(query, file, facts), *self._unrecorded(query, facts)]
        self.problems += [Finding(file.path, file.line_of("tags"), *message) for message in messages]
        for key, warnings in (("ttl", freshness_warnings), ("verify", steadiness_warnings)):
            self.warnings += [Finding(file.path, file.line_of(key), message) for message in warnings(query, facts)]

    def command(self, command: Command, file: SqlFile) -> None:
        self._claims(command, self._callers.writes, "WriteAuthorization", file)
        try:
            facts = self._database.command_facts(command)
        except StatementRefused as refused:
            self._refused(refused, file)
            return
        self._statement(facts, file)

    def _claims(self, statement: Statement, asked: Authorization | None, setting: str, file: SqlFile) -> None:
        for name, message in claim_problems(statement, asked, setting):
            self.problems.append(Finding(file.path, file.line_of(f"params.{name}"), message))

    def _refused(self, refused: StatementRefused, file: SqlFile) -> None:
        # The sample values may have more lines than their placeholders.
        line = min(max(refused.line, 1), file.sql.count("\n") + 1)
        fix = Fix(statement=refused.grant) if refused.grant else None
        self.problems.append(Finding(file.path, file.sql_line + line - 1, refused.reason, fix))

    def _statement(self, facts: StatementFacts, file: SqlFile) -> None:
        self.problems += [Finding(file.path, file.sql_line, *message) for message in statement_problems(facts)]
        if facts.not_as_role and facts.not_as_role not in self._objections:
            self._objections.add(facts.not_as_role)
            message = f"checked as the role of this session, which cannot act as the function's: {facts.not_as_role}"
            self.warnings.append(Finding(file.path, file.sql_line, message))

    def _unrecorded(self, query: Query, facts: Facts) -> Iterator[Message]:
        for each in objects_read(query, facts):
            if each.tag not in self.objects and (message := unrecorded(each)):
                yield message
            self.objects.add(each.tag)
