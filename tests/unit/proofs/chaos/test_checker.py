"""Histories made by hand: the checker must find each kind of violation, and no other in a history that is right."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proofs.chaos.checker import Limits, check
from proofs.chaos.history import Change, Drained, History, Injected, Operation, Probe, RuntimeFailure, Window

LIMITS = Limits(rows=2, longest_s=12.0, recovered_s=15.0)
PROBLEM = "application/problem+json"


def row(begin: float, value: int, row: int = 0, **others: Any) -> Operation:
    body = json.dumps({"data": {"id": row, "value": value}})
    answered = {"status": 200, "content_type": "application/json", "body": body, "cache_status": "cacheaside; hit"}
    return Operation(**{"begin": begin, "end": begin + 0.1, "kind": "row", "row": row, **answered, **others})


def rows(begin: float, values: list[int]) -> Operation:
    body = json.dumps({"data": {"ids": list(range(len(values))), "values": values}})
    return replace(row(begin, 0), kind="rows", row=None, body=body)


def write(begin: float, value: int, name: str = "w", invalidation: str = "done", **others: Any) -> Operation:
    body = json.dumps({"data": {"id": 0, "value": value}, "invalidation": invalidation})
    return row(begin, 0, **{"kind": "write", "name": name, "cache_status": "", "body": body, **others})


def failed(operation: Operation, slug: str = "unavailable", status: int = 503) -> Operation:
    body = json.dumps({"type": f"/docs#{slug}"})
    return replace(operation, status=status, content_type=PROBLEM, body=body, cache_status="")


def history(*operations: Operation, changes: int = 0, **others: Any) -> History:
    """Return the history of a healthy PostgreSQL. The first write is `w`, and it changes row 0 to 1."""
    probes = [Probe(at / 5, at / 5 + 0.01, answered=True) for at in range(-50, 200)]
    made = [Change(0, number + 1, "w" if number == 0 else None) for number in range(changes)]
    return History(**{"operations": list(operations), "probes": probes, "changes": made, **others})


def promises(found: History) -> list[str]:
    return [violation.promise for violation in check(found, LIMITS)]


def test_right_history_has_no_violation() -> None:
    right = history(row(0, 0), write(1, 1), row(2, 1), rows(3, [1, 0]), changes=1, drained=[Drained(1.2, 0, 1)])
    assert check(right, LIMITS) == []


def test_read_that_began_before_the_acknowledgement_may_be_older() -> None:
    assert promises(history(write(1, 1), row(1.05, 0), changes=1)) == []


@pytest.mark.parametrize("read", [row(2, 0), rows(2, [0, 0])])
def test_read_older_than_a_write_that_was_done_before(read: Operation) -> None:
    [violation] = check(history(write(1, 1), read, changes=1), LIMITS)
    assert violation.promise == "no old answer"
    assert read in violation.proof


def test_pending_write_is_acknowledged_when_it_is_drained() -> None:
    pending = write(1, 1, invalidation="pending")
    assert promises(history(pending, row(2, 0), changes=1)) == []
    assert promises(history(pending, row(2, 0), changes=1, drained=[Drained(1.5, 0, 1)])) == ["no old answer"]


def test_failover_may_lose_what_was_drained_and_not_what_was_done() -> None:
    drained, windows = [Drained(1.5, 0, 1)], [Window(1.8, 3.0)]
    pending = write(1, 1, invalidation="pending")
    assert promises(history(pending, row(2, 0), changes=1, drained=drained, windows=windows)) == []
    assert promises(history(write(1, 1), row(2, 0), changes=1, windows=windows)) == ["no old answer"]
    after = history(pending, row(3.5, 0), changes=1, drained=drained, windows=windows)
    assert promises(after) == ["no old answer"]


def test_value_that_was_never_written() -> None:
    assert promises(history(row(1, 7), changes=1)) == ["only written values"]


def test_value_before_its_write() -> None:
    assert promises(history(row(1, 1), write(2, 1), changes=1)) == ["only written values"]


def test_first_attempt_of_a_write_may_be_one_of_the_warm_up() -> None:
    first = replace(write(0, 1), status=0, content_type="", body="", key=True, left=True)
    assert promises(history(row(1, 1), write(2, 1, key=True), changes=1, warm_up=[first])) == []


@pytest.mark.parametrize(
    "others",
    [
        {"body": "{"},
        {"body": '{"data": null}'},
        {"body": json.dumps({"data": {"id": 1, "value": 0}})},
        {"body": json.dumps({"data": {"id": 0, "value": "0"}})},
        {"content_type": "text/html"},
        {"status": 404, "content_type": PROBLEM},
        {"status": 0, "content_type": "", "body": ""},
    ],
)
def test_malformed_answer(others: dict[str, Any]) -> None:
    assert promises(history(row(1, 0, **others))) == ["well-formed"]


@pytest.mark.parametrize(
    "body", ["", "[]", '{"data": {"id": 0, "value": 1}}', '{"data": {"id": 1}, "invalidation": "done"}']
)
def test_malformed_answer_to_a_write(body: str) -> None:
    assert promises(history(write(1, 1, body=body), changes=1)) == ["well-formed"]


def test_write_of_a_row_that_is_being_replaced_may_find_none() -> None:
    none = failed(write(1, 1), "no-row", 404)
    assert promises(history(none)) == []
    assert promises(history(none, changes=1)) == ["no refused write"]


def test_only_a_client_that_leaves_gets_no_answer_to_a_write() -> None:
    silent = replace(write(1, 1), status=0, content_type="", body="")
    assert promises(history(silent)) == ["well-formed"]
    assert promises(history(replace(silent, left=True))) == []


@pytest.mark.parametrize(("slug", "found"), [("idempotency-key-in-flight", []), ("conflict", ["well-formed"])])
def test_conflict_of_a_write_is_with_its_own_key(slug: str, found: list[str]) -> None:
    assert promises(history(failed(write(1, 1), slug, 409))) == found


def test_answer_of_all_rows_that_lacks_one() -> None:
    assert promises(history(rows(1, [0]))) == ["well-formed"]


def test_lost_write() -> None:
    assert promises(history(write(1, 1))) == ["no lost write"]


def test_write_whose_answer_has_another_value() -> None:
    assert promises(history(write(1, 2), changes=1)) == ["no lost write"]


def test_write_that_was_carried_out_twice() -> None:
    cut = replace(write(1, 1), status=0, body="", key=True, left=True)
    twice = [Change(0, 1, "w"), Change(0, 2, "w")]
    found = replace(history(cut, write(2, 2, key=True)), changes=twice)
    assert promises(found) == ["no doubled write"]


def test_write_that_was_refused_and_carried_out() -> None:
    down = [Injected("PostgreSQL killed", "database", 0.0, 3.0, 0.0)]
    assert promises(history(failed(write(1, 1)), changes=1, injected=down)) == ["no refused write"]


@pytest.mark.parametrize(
    "unknown", [failed(write(1, 1), "outcome-unknown"), replace(write(1, 1), status=0, body="", left=True)]
)
def test_write_whose_outcome_is_unknown_may_be_carried_out(unknown: Operation) -> None:
    down = [Injected("PostgreSQL killed", "database", 0.0, 3.0, 0.0)]
    assert promises(history(unknown, changes=1, injected=down)) == []
    assert promises(history(unknown, changes=0, injected=down)) == []


def test_lost_invalidation() -> None:
    assert promises(history(undrained=[Change(0, 1, None)])) == ["no lost invalidation"]
    assert promises(history(pending=1)) == ["no lost invalidation"]


@pytest.mark.parametrize("operation", [failed(row(5, 0)), failed(write(5, 1))])
def test_failure_while_postgresql_could_answer(operation: Operation) -> None:
    assert promises(history(operation)) == ["no needless 5xx"]


def test_failure_while_postgresql_could_not_answer() -> None:
    silent = [Probe(4.0, 6.0, answered=False), Probe(6.2, 6.3, answered=True), Probe(6.5, 6.6, answered=True)]
    assert promises(history(failed(row(5, 0)), probes=silent)) == []


def test_failure_while_an_entry_could_answer() -> None:
    silent = [Probe(0.0, 30.0, answered=False)]
    stored_before, stored_later = row(9, 0, age=7), row(9, 0, age=2)
    assert promises(history(failed(row(5, 0)), stored_before, probes=silent)) == ["no needless 5xx"]
    assert promises(history(failed(row(5, 0)), stored_later, probes=silent)) == []
    cache_too = [Injected("cache killed", "cache", 4.0, 6.0, 0.0)]
    assert promises(history(failed(row(5, 0)), stored_before, probes=silent, injected=cache_too)) == []
    for name, found in {
        "catalogue edited, all sandboxes replaced": 0,
        "old and new code at once: a shorter ttl": 1,
    }.items():
        two_codes = [Injected(name, "functions", 4.0, 6.0, 0.0)]
        seen = history(failed(row(5, 0)), stored_before, probes=silent, injected=two_codes)
        assert promises(seen) == ["no needless 5xx"] * found


def test_age_tells_nothing_while_an_entry_lives_that_was_stored_by_a_wrong_clock() -> None:
    silent = [Probe(0.0, 100.0, answered=False)]
    wrong = [Injected("clocks of sandboxes set back", "functions", 5.0, 8.0, 0.0)]
    for begin, found in ((9.0, 0), (40.0, 1)):
        seen = history(failed(row(begin, 0)), row(begin + 4, 0, age=7), probes=silent, injected=wrong)
        assert promises(seen) == ["no needless 5xx"] * found


def test_function_that_failed_by_itself() -> None:
    ended = replace(row(5, 0), status=500, body='{"message": "Internal Server Error"}', cache_status="")
    killed = [RuntimeFailure(5.05, "QueryFunction: the sandbox ended with status -9")]
    killing = [Injected("sandboxes of QueryFunction killed", "functions", 4.9, 5.1, 0.0)]
    assert promises(history(ended)) == ["no needless 5xx"]
    assert promises(history(ended, failures=killed)) == ["no needless 5xx"], "no fault killed it"
    assert promises(history(ended, failures=killed, injected=killing)) == []
    other = [replace(killed[0], text=killed[0].text.replace("Query", "Command"))]
    assert promises(history(ended, failures=other, injected=killing)) == ["no needless 5xx"]


def test_internal_error_is_never_explained_by_a_fault() -> None:
    silent = [Probe(4.0, 6.0, answered=False)]
    assert promises(history(failed(row(5, 0), "internal", 500), probes=silent)) == ["no needless 5xx"]


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ("KeyError: 'change' (drain.py:12)", 1),
        ("OperationalError: terminating connection (drain.py:12)", 1),
        ("the sandbox ended with status 1", 1),
        ("timed out after 62.00 seconds", 1),
        ("Busy: a lock is held (outbox.py:12)", 0),
        ("the database cannot be reached: Connection refused", 0),
        ("the sandbox ended with status -9", 0),
    ],
)
def test_invocation_on_schedule_ends_as_no_fault_explains(end: str, found: int) -> None:
    failure = RuntimeFailure(1.0, f"InvalidateFunction, on schedule: {end}")
    assert promises(history(failures=[failure])) == ["no needless 5xx"] * found


def test_old_answer_on_error_without_an_error() -> None:
    stale = row(5, 0, cache_status="cacheaside; fwd=stale; detail=stale-if-error")
    assert promises(history(stale)) == ["stale only on error"]
    assert promises(history(stale, probes=[Probe(4.0, 6.0, answered=False)])) == []


def test_answer_that_takes_too_long() -> None:
    slow = row(1, 0, end=20.0)
    frozen = [Injected("sandboxes frozen", "functions", 2.0, 12.0, 0.0)]
    clocks = [replace(frozen[0], name="clocks of sandboxes set forward")]
    assert promises(history(slow)) == ["bounded latency"]
    assert promises(history(slow, injected=clocks)) == ["bounded latency"]
    assert promises(history(slow, injected=frozen)) == []


@pytest.mark.parametrize("recovered_s", [None, 16.0])
def test_fault_from_which_the_stack_does_not_recover_in_time(recovered_s: float | None) -> None:
    fault = Injected("cache killed", "cache", 1.0, 2.0, recovered_s)
    assert promises(history(injected=[fault])) == ["recovery by itself"]
