"""Ranks statements by the database time that a cache would save: calls × mean time × hit ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from local.advice.hit_ratio import TTLS, Ttl, answer_life, chosen_ttl, hit_ratio
from local.advice.question import Read
from local.advice.record import Statement
from local.advice.tables import Column, Table

__all__ = ["Candidate", "estimate", "rank"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A statement that a cache can answer, with what it would save. Rates are per second."""

    statement: Statement
    tables: tuple[Table, ...]
    compared: tuple[str, ...]  # the columns that are compared with parameters
    uses_clock: bool
    questions: float  # different values that it is called with
    are_counted: bool  # in a log; else estimated from statistics of columns
    row_of: tuple[str, ...]  # the tables of which it reads one row
    calls: float
    writes: float  # that invalidate an answer
    ttl: Ttl
    hit_ratio: float

    @property
    def saved(self) -> float:
        """The share of the time in which it would keep the database from working: 1 is one busy connection."""
        return self.calls * self.statement.mean_ms / 1000 * self.hit_ratio

    @property
    def life(self) -> float:
        """How many seconds an answer lives."""
        return answer_life(self.ttl.seconds, self.writes)

    @property
    def pause(self) -> float:
        """The seconds between two calls of the same question."""
        return self.questions / self.calls


def rank(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, the one that saves most first."""
    return sorted(candidates, key=lambda each: -each.saved)


def estimate(
    statement: Statement,
    read: Read,
    seconds: float,
    tables: Mapping[int, Table],
    columns: Mapping[Column, float],
    writes: Mapping[int, float],
) -> Candidate:
    """Return the candidate, for a record of `seconds`."""
    calls = statement.calls / seconds
    counted = statement.questions
    questions = float(counted) if counted is not None else min(_questions(read, tables, columns), statement.calls)
    row_of = tuple(tables[oid].sql for oid in read.tables if _is_row(tables[oid], read))
    invalidating = sum(
        writes[oid] / max(tables[oid].rows, 1.0) if tables[oid].sql in row_of else writes[oid] for oid in read.tables
    )
    ttl = TTLS[0] if read.uses_clock else chosen_ttl(calls / questions, invalidating)
    return Candidate(
        replace(statement, sql=read.sql),
        tuple(tables[oid] for oid in read.tables),
        _compared(read),
        read.uses_clock,
        questions,
        counted is not None,
        row_of,
        calls,
        invalidating,
        ttl,
        hit_ratio(calls / questions, ttl.seconds, invalidating),
    )


def _questions(read: Read, tables: Mapping[int, Table], columns: Mapping[Column, float]) -> float:
    """Estimate the number of different questions: each combination of values of the compared columns.

    A parameter that is compared with no column counts as a constant: pg_stat_statements records constants as
    parameters too.
    """
    number = 1.0
    for places in read.outline.places.values():
        compared = [place for place in places if place.kind == "compared" and place.relation in tables]
        if compared:
            place = compared[0]
            number *= max(columns.get((place.relation, place.column), tables[place.relation].rows), 1.0)
    return number


def _compared(read: Read) -> tuple[str, ...]:
    places = (places[0] for _, places in sorted(read.outline.places.items()))
    return tuple(dict.fromkeys(place.column for place in places if place.kind == "compared"))


def _is_row(table: Table, read: Read) -> bool:
    """Return whether the primary key is compared with parameters."""
    compared = {
        place.column
        for places in read.outline.places.values()
        for place in places
        if place.relation == table.oid and place.operator in read.equal and not place.is_list
    }
    return bool(table.key) and compared.issuperset(table.key)
