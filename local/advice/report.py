"""The advice as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from local.advice.advise import Advice
from local.advice.ranking import Candidate
from local.cli.output import table

__all__ = ["as_json", "report"]

_SHOWN: Final = 10
_SHORT_S: Final = 600
_SQL_AT_MOST: Final = 300
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def report(advice: Advice) -> str:
    """Return the tables to print."""
    return "\n\n".join(part for part in _parts(advice) if part)


def _parts(advice: Advice) -> Iterator[str]:
    record = advice.record
    statements = f"{len(record.statements):,} statements" if len(record.statements) != 1 else "1 statement"
    yield (
        f"{statements} in {span(record.seconds)}, from {record.source}: {_span_ms(record.total_ms)} of database time."
    )
    if record.seconds < _SHORT_S:
        yield "That is a short time: let more calls be recorded before you rely on this."
    shown = advice.candidates[:_SHOWN]
    if not shown:
        yield "There is nothing to cache."
    else:
        head = ("#", "calls", "mean ms", "of time", "tables", "writes/min", "hits", "saves/h")
        rows = [_row(at, each, advice) for at, each in enumerate(shown, 1)]
        yield table(head, rows, right=(0, 1, 2, 3, 5, 6, 7))
        yield "\n".join(f"{at:2}  {shortened(each.statement.sql)}\n    {why(each)}" for at, each in enumerate(shown, 1))
        if len(advice.candidates) > _SHOWN:
            yield f"{len(advice.candidates) - _SHOWN} more save less; --json lists all."
        yield _assumptions(advice)
    if advice.left_out:
        titles = ("left out because", "statements", "of time", "such as")
        yield table(titles, list(_left_out(advice)), right=(1, 2))


def _row(at: int, each: Candidate, advice: Advice) -> tuple[str, ...]:
    return (
        str(at),
        f"{each.statement.calls:,}",
        f"{each.statement.mean_ms:,.1f}",
        _percent(each.statement.total_ms / advice.record.total_ms),
        ", ".join(one.sql for one in each.tables),
        f"{each.writes * 60:.3g}",
        _percent(each.hit_ratio),
        span(each.saved * 3600),
    )


def why(each: Candidate) -> str:
    """Return the reason for the hit ratio."""
    asked = (
        f"the same question every {span(each.pause)}"
        if each.questions <= 1
        else f"{each.questions:,.0f} questions, each every {span(each.pause)}"
    )
    lives = f"an answer lives {span(each.life)}"
    if each.life < 0.5 * each.ttl.seconds:
        lives += " between writes"
    rows = f"; one row of {', '.join(each.row_of)}" if each.row_of else ""
    clock = "; depends on the time of day" if each.uses_clock else ""
    return f"{asked}; {lives}{rows}{clock}"


def _assumptions(advice: Advice) -> str:
    counted = any(each.are_counted for each in advice.candidates)
    questions = (
        "counted in the log"
        if counted
        else "estimated from pg_stats: all combinations of values of the compared columns, at most one per call"
    )
    return (
        f"Different questions are {questions}.\nAll are taken as equally popular, the worst case.\n"
        f"Writes are {advice.writes.source}.\nWhere one row is read, only writes of that row count."
    )


def _left_out(advice: Advice) -> Iterator[tuple[str, ...]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for statement, reason in advice.left_out:
        groups[reason].append(statement)
    by_time = sorted(groups.items(), key=lambda group: -sum(each.total_ms for each in group[1]))
    for reason, statements in by_time[:_SHOWN]:
        share = sum(each.total_ms for each in statements) / advice.record.total_ms
        longest = max(statements, key=lambda each: each.total_ms)
        yield shortened(reason, 70), f"{len(statements):,}", _percent(share), shortened(longest.key, 60)


def as_json(advice: Advice) -> Mapping[str, Any]:
    """Return the advice for a script."""
    return {
        "source": advice.record.source,
        "seconds": advice.record.seconds,
        "total_ms": advice.record.total_ms,
        "writes_source": advice.writes.source,
        "candidates": [
            {
                "sql": each.statement.sql,
                "calls": each.statement.calls,
                "mean_ms": each.statement.mean_ms,
                "share_of_time": each.statement.total_ms / advice.record.total_ms,
                "tables": [one.sql for one in each.tables],
                "rows_of": list(each.row_of),
                "writes_per_minute": each.writes * 60,
                "questions": each.questions,
                "questions_are": "counted" if each.are_counted else "estimated",
                "hit_ratio": each.hit_ratio,
                "saved_seconds_per_hour": each.saved * 3600,
                "ttl": each.ttl.ttl,
                "why": why(each),
            }
            for each in advice.candidates
        ],
        "left_out": [
            {"sql": each.key, "calls": each.calls, "total_ms": each.total_ms, "reason": reason}
            for each, reason in advice.left_out
        ],
    }


def shortened(sql: str, at_most: int = _SQL_AT_MOST) -> str:
    """Return `sql` on one line."""
    one = " ".join(sql.split())
    return one if len(one) <= at_most else f"{one[: at_most - 1]}…"


def span(seconds: float) -> str:
    """Return a time in the unit in which it has few digits, such as "2.5 min"."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (0.001, "ms"))
    return f"{seconds / size:.0f} {unit}" if seconds / size >= 10 else f"{seconds / size:.2g} {unit}"


def _span_ms(ms: float) -> str:
    return span(ms / 1000)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
