"""The runbooks of sweeps: each fault turns its alarm on, the queries and the SQL show the cause, the action ends it."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest

from tests.component.runbooks.alarms import is_on, metrics_of
from tests.component.runbooks.insights import run
from tests.component.runbooks.runbook import SECTIONS
from tests.component.runbooks.stack import OTHER, RunbookStack
from tests.template.support.stack import stack_of

LAG: Final = SECTIONS["Invalidation lag"]
STALE: Final = SECTIONS["Stale answer"]
UNRECORDED: Final = SECTIONS["Unrecorded"]


def swept(stack: RunbookStack, alarm: str) -> tuple[bool, list[str]]:
    """Run a sweep. Returns whether the alarm is on then, and what the sweep logged."""
    stack.sweep()
    lines = stack.log("InvalidateFunction")
    return is_on(alarm, metrics_of(lines)), lines


def messages(query: str, lines: list[str]) -> list[str]:
    return [row["message"] for row in run(query, lines)]


@pytest.mark.parametrize(
    ("query", "break_it", "mend"),
    [
        ("gift", "select cacheaside.unwatch('gifts')", "select cacheaside.watch('gifts')"),
        ("untagged", "", ""),  # the tag that is missing can be added by a deployment only
    ],
)
def test_stale_answer(stack: RunbookStack, query: str, break_it: str, mend: str) -> None:
    stack.sql(break_it or "select")
    stack.get(f"/queries/{query}?id=7")
    stack.sql("update gifts set price = price + 1 where id = 7")
    stack.get(f"/queries/{query}?id=7")
    is_alarm, lines = swept(stack, "stale-answer")
    assert is_alarm
    [look] = STALE.queries("invalidate")
    [message] = messages(look, lines)
    assert message.startswith(f"stale answer of {query}(id=7)")
    [saved] = stack_of().of_type("AWS::Logs::QueryDefinition").values()
    [row] = run(saved["QueryString"].replace("\n", " "), lines)
    assert (row["query"], float(row["age_s"]) > 0) == (query, True)
    watched = {name: complete for name, _, complete in stack.sql(STALE.sql[0])}
    assert ("gifts" in watched) == (query == "untagged")
    assert all(watched.values())
    stack.sql(mend or "select")
    # The section's first action: the tags of that query's file.
    assert stack.post("/invalidations", {"tags": ["gifts" if query == "gift" else "orders"]}).status == 200
    stack.get(f"/queries/{query}?id=7")
    is_alarm, lines = swept(stack, "stale-answer")
    assert (is_alarm, messages(look, lines)) == (False, [])


def test_answer_that_depends_on_the_clock(stack: RunbookStack) -> None:
    stack.get("/queries/clock")
    is_alarm, lines = swept(stack, "stale-answer")
    assert is_alarm
    assert messages(STALE.queries("invalidate")[0], lines)[0].startswith("stale answer of clock()")
    assert "`verify = false`" in STALE.action("depends on the clock")


UNRECORDED_CAUSES: Final = {
    "it is not a permanent table": ("alter table gifts set unlogged", "alter table gifts set logged"),
    "they cannot be followed": (
        "revoke execute on function cacheaside.follow() from cacheaside_invalidate",
        "grant execute on function cacheaside.follow() to cacheaside_invalidate",
    ),
}


@pytest.mark.parametrize("cause", UNRECORDED_CAUSES)
def test_unrecorded(stack: RunbookStack, cause: str) -> None:
    begin, end = UNRECORDED_CAUSES[cause]
    stack.sql(begin)
    try:
        is_alarm, lines = swept(stack, "unrecorded")
        [look] = UNRECORDED.queries("invalidate")
        [message] = messages(look, lines)
        assert cause in message
        assert UNRECORDED.action(cause)
        if cause == "they cannot be followed":
            assert message.endswith("permission denied for function follow")
        else:
            assert stack.sql(UNRECORDED.sql[0]) == [("gifts", message.partition("unrecorded: ")[2])]
            assert messages(look, swept(stack, "unrecorded")[1]) == []  # it is logged once
        assert is_alarm
    finally:
        stack.sql(end)
    assert swept(stack, "unrecorded")[0] is False


def test_invalidation_lag_without_the_cache(stack: RunbookStack) -> None:
    count = LAG.sql[0]
    [look] = LAG.queries("invalidate")
    stack.valkey.stop()
    try:
        stack.sql("update gifts set price = price + 1 where id = 1")
        stack.sql("update cacheaside.outbox set written_at = now() - interval '3 min' where drained_at is null")
        is_alarm, lines = swept(stack, "invalidation-lag")
        assert is_alarm
        assert any(message.startswith("the cache cannot be reached") for message in messages(look, lines))
        _, later = swept(stack, "invalidation-lag")
        assert any(message.startswith("no connection to the cache") for message in messages(look, later))
        assert not any(message.startswith("the cache cannot be reached") for message in messages(look, later))
        assert "#breaker-open" in LAG.action("the cache cannot be reached", "no connection to the cache")
        [(pending, since)] = stack.sql(count)
        assert (pending >= 1, since is not None) == (True, True)
    finally:
        stack.valkey.start()
    is_alarm, lines = swept(stack, "invalidation-lag")
    assert is_alarm is False
    # The new server has another replication id, as after a failover of the cache.
    assert metrics_of(lines)["shop", "Replayed", (("service", "invalidate"),)] == [1]
    assert stack.sql(count) == [(0, None)]


def test_row_of_the_outbox_that_a_session_has_locked(stack: RunbookStack) -> None:
    stack.sql(
        "grant usage on schema cacheaside to nightly_job; grant select, update on cacheaside.outbox to nightly_job"
    )
    stack.sql("update gifts set price = price + 1 where id = 1")
    stack.sql("update cacheaside.outbox set written_at = now() - interval '3 min' where drained_at is null")
    locking = "select from cacheaside.outbox where drained_at is null for update"
    with closing(psycopg2.connect(stack.postgres.url_for(OTHER))) as session, session.cursor() as cursor:
        cursor.execute(locking)
        assert swept(stack, "invalidation-lag")[0]
        [find] = [each for each in LAG.sql if "pg_stat_activity" in each]
        pid, user, _, _, statement = stack.sql(find)[0]
        assert (user, statement) == (OTHER, locking)
        stack.sql(f"select pg_terminate_backend({pid}, 10000)")  # returns when the session has ended
    assert swept(stack, "invalidation-lag")[0] is False


def test_no_sweep_turns_the_alarm_of_the_lag_on() -> None:
    assert is_on("invalidation-lag", {})


@pytest.mark.parametrize(
    ("begin", "end", "name", "sqlstate", "reason"),
    [
        (
            "revoke select on cacheaside.outbox from cacheaside_invalidate",
            "grant select on cacheaside.outbox to cacheaside_invalidate",
            "StatementFailed",
            "42501",
            "permission denied for table outbox",
        ),
        (
            "alter role cacheaside_invalidate set default_transaction_read_only = on",
            "alter role cacheaside_invalidate reset default_transaction_read_only",
            "RefusedForNow",
            "25006",
            "in a read-only transaction",
        ),
    ],
)
def test_invalidate_errors(stack: RunbookStack, begin: str, end: str, name: str, sqlstate: str, reason: str) -> None:
    section = SECTIONS["Invalidate errors"]
    ended: dict[str, Any] = {}
    for statement in (begin, end):
        stack.sql(statement, user="postgres")
        stack.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'cacheaside_invalidate'")
        stack.sql("update gifts set price = price + 1 where id = 1")
        ended[statement] = stack.sweep()
    assert ended[begin]["errorType"] == name  # Lambda counts this as an error of the function
    assert ended[end] is None
    rows = run(section.queries("invalidate")[0], stack.log("InvalidateFunction"))
    assert {row["errorType"] for row in rows} == {"", name}
    [row] = [row for row in rows if row["message"].startswith("the sweep failed")]
    assert row["sqlstate"] == sqlstate
    assert reason in row["message"]
    assert section.action(name, sqlstate)


def test_invalidating_by_hand(stack: RunbookStack) -> None:
    text = SECTIONS["Invalidating by hand"].text
    bodies = re.findall(r"-d '(\{.*\})'|# or (\{.*\})", text)
    assert [stack.post("/invalidations", json.loads(one or other)).status for one, other in bodies] == [200, 200]


def test_emptying_the_cache(stack: RunbookStack) -> None:
    stack.get("/queries/gift?id=9")
    assert "hit" in stack.get("/queries/gift?id=9").cache
    [empty] = SECTIONS["Emptying the cache"].sql
    stack.sql(empty)
    stack.sweep()
    assert stack.get("/queries/gift?id=9").cache["fwd"] == "miss"
