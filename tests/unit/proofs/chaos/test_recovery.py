"""When a stack counts as recovered."""

from __future__ import annotations

from dataclasses import replace

from proofs.chaos.history import Operation
from proofs.chaos.recovery import latency_s, recovered_after_s


def answers(begin: float, end: float, status: int = 200, took_s: float = 0.01) -> list[Operation]:
    times = [begin + number / 20 for number in range(int((end - begin) * 20))]
    return [Operation(begin=at - took_s, end=at, kind="row", row=0, status=status) for at in times]


def test_first_whole_second_without_a_failure_counts() -> None:
    operations = [*answers(10, 12, status=503), *answers(12, 14)]
    assert recovered_after_s(operations, 10.0, 14.0, 0.01) == 2.0


def test_slow_answers_are_no_recovery() -> None:
    operations = [*answers(10, 12, took_s=1.0), *answers(12, 14)]
    assert recovered_after_s(operations, 10.0, 14.0, 0.01) == 2.0


def test_silence_is_no_recovery() -> None:
    assert recovered_after_s([], 10.0, 14.0, 0.01) is None


def test_second_that_is_not_over_is_no_recovery() -> None:
    assert recovered_after_s(answers(10, 11), 10.0, 10.9, 0.01) is None


def test_transactions_past_the_api_say_nothing() -> None:
    operations = [*answers(10, 12), *(replace(each, kind="sql", status=0) for each in answers(10, 12))]
    assert recovered_after_s(operations, 10.0, 12.0, 0.01) == 0.0


def test_latency_of_a_share() -> None:
    operations = [Operation(begin=0.0, end=float(number), kind="row") for number in range(1, 101)]
    assert latency_s(operations, 0.99) == 99.0
    assert latency_s([], 0.99) == 0.0
