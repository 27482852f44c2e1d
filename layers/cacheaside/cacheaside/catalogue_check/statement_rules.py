"""The rules of every statement, and those of a query that PostgreSQL accepts and a cache makes no use of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from cacheaside.catalogue.statements import Query, Statement
from cacheaside.catalogue_check.facts import Facts, StatementFacts
from cacheaside.catalogue_check.findings import Fix, Message
from cacheaside.settings import Authorization

__all__ = ["claim_problems", "freshness_warnings", "statement_problems", "steadiness_warnings"]

# PostgreSQL replaces these texts by the date or time before any plan exists.
_CLOCK: Final = r"'\s*(?:now|today|tomorrow|yesterday)\s*'"
_TYPE: Final = r"(?:pg_catalog\.)?(?:date|time)"
_CLOCK_LITERAL: Final = re.compile(
    rf"\b(?:date|time(?:stamp)?(?:tz)?)(?:\s*\(\d\))?(?:\s+with(?:out)?\s+time\s+zone)?\s*{_CLOCK}|"
    rf"{_CLOCK}\s*::\s*{_TYPE}|\bcast\s*\(\s*{_CLOCK}\s+as\s+{_TYPE}",
    re.IGNORECASE,
)


def statement_problems(facts: StatementFacts) -> Iterator[Message]:
    """Yield the reasons for which the statement would fail, or lose a part of its answer."""
    for name, times in Counter(facts.columns).items():
        if times > 1:
            yield (
                f'{times} columns of the answer are called "{name}": give each its own name, as in id as order_id',
                None,
            )
    for grant in facts.grants:
        yield f"its role lacks a right; put into a migration: {grant};", Fix(statement=f"{grant};")


def claim_problems(statement: Statement, asked: Authorization | None, setting: str) -> Iterator[tuple[str, str]]:
    """Yield each parameter that is a claim which no caller has, with the reason. `asked` is what `setting` says."""
    if asked is None or asked is Authorization.JWT:
        return
    for name, parameter in statement.parameters.items():
        if parameter.claim:
            yield (
                name,
                f"{name} is a claim of the caller's token, and with {setting}={asked.value} callers send none: "
                f"deploy with {setting}=jwt",
            )


def freshness_warnings(query: Query, facts: Facts) -> Iterator[str]:
    """Yield a warning if an answer is too old to be used when it arrives."""
    if facts.outlasts_answers:
        yield "the query takes longer than its answer may be used, so no request is a hit: raise ttl, or stale"


def steadiness_warnings(query: Query, facts: Facts) -> Iterator[str]:
    """Yield a warning if the verifier would report a difference that is none."""
    unsteady = [*facts.unsteady, *(["the current date or time"] if _CLOCK_LITERAL.search(query.sql) else [])]
    if query.verify and unsteady:
        yield (
            f"the answer may change without a write: it depends on {', '.join(dict.fromkeys(unsteady))}; write "
            "-- verify = false, or declare a function as stable if only the tables that it reads decide its result"
        )
