"""Collects what is known about a question, from the catalogue and from a database."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from cacheaside.catalogue.tags import resolve_tags, table_of
from cacheaside.catalogue_check.facts import Facts, StatementRefused
from cacheaside.catalogue_check.tag_rules import objects_read, unrecorded
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from cacheaside.reading.question import Question
from local.connecting import connected
from local.explain.plan import Plan, read_plan
from local.explain.row_tags import RowTag, row_tags

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """`facts` is None if PostgreSQL refuses the query: then `refused` says why."""

    question: Question
    plan: Plan
    facts: Facts | None
    refused: str = ""

    @property
    def row_tags(self) -> tuple[RowTag, ...]:
        return () if self.facts is None or self.facts.grants else tuple(row_tags(self.question.query, self.facts))

    @property
    def problems(self) -> list[str]:
        """What is wrong with the question: it cannot be run, or a change of its tables would not be recorded."""
        if self.facts is None:
            return [f"PostgreSQL refuses the query: {self.refused}"]
        refused = [self.plan.refused] if self.plan.refused else []
        grants = [f"the role of the query function lacks a right: {grant};" for grant in self.facts.grants]
        found = (unrecorded(each) for each in objects_read(self.question.query, self.facts))
        return [*refused, *grants, *(message for message, _ in filter(None, found))]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Each tag of the answer, and the change that invalidates it."""
        functions = self.facts.opaque if self.facts else ()
        tags = resolve_tags(self.question.query.tags, self.question.values)
        return [(tag, _change(tag, functions)) for tag in tags]


def explain(url: str, question: Question, *, analyze: bool) -> Explanation:
    """Return what the database at `url` tells about the question. Changes nothing. Raises `LocalError`."""
    with connected(url) as database:
        plan = read_plan(database, question, analyze=analyze)
        try:
            with inspecting(database) as inspector:
                return Explanation(question, plan, inspector.facts(question.query))
        except StatementRefused as refused:
            return Explanation(question, plan, None, refused.reason)


def _change(tag: str, functions: Container[str]) -> str:
    table = table_of(tag)
    row = tag.removeprefix(table).removeprefix(":")
    if table in functions:
        return f"{table} is a function that hides what it reads: only POST /invalidations"
    if row == "*":
        return f"a change of {table} that names no rows: many at once, TRUNCATE, DDL"
    return f"a change of the row {row} of {table}" if row else f"any change of {table}"
