"""The stack as it is now, and Lambda's limit."""

from __future__ import annotations

import pytest

from local.doctor.account import Account
from local.doctor.checks import stack
from local.doctor.checks.concurrency import concurrency
from tests.component.local.doctor.support import DEPLOYED, answer, deployment, lines


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ROLLBACK_COMPLETE", "sam delete --stack-name shop"),
        ("ROLLBACK_FAILED", "sam delete --stack-name shop"),
        ("CREATE_FAILED", "sam delete --stack-name shop"),
        ("DELETE_FAILED", "sam delete --stack-name shop"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name shop"),
        ("UPDATE_FAILED", "rollback-stack --stack-name shop"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait"),
        ("DELETE_IN_PROGRESS", "wait"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_a_problem(status: str, advice: str) -> None:
    [line] = lines(stack.state(deployment(status=status)))
    assert line.startswith(f"✗ {status}: ")
    assert advice in line


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", DEPLOYED, "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"])
def test_a_stack_that_can_be_updated_is_fine(status: str) -> None:
    assert lines(stack.state(deployment(status=status))) == [f"✓ {status}"]


@pytest.mark.parametrize(
    ("status", "available", "protected", "mark"),
    [
        (None, "on", "on", "✗ on: if the first deployment fails"),
        (None, "on", "off", "✓ off"),
        (DEPLOYED, "on", "off", "✗ off: the stack exists now"),
        (DEPLOYED, "on", "on", "✓ on"),
        (DEPLOYED, "off", "off", "✓ off"),
    ],
)
def test_deletion_protection_is_off_in_the_first_deployment_and_on_later(
    status: str | None, available: str, protected: str, mark: str
) -> None:
    of = deployment(status=status, HighAvailability=available, DeletionProtection=protected)
    [line] = lines(stack.deletion_protection(of))
    assert line.startswith(mark)


def limits(aws: Account, limit: int, unreserved: int) -> None:
    found = {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}}
    answer(aws, "lambda", "get_account_settings", found)


RESERVED = {"QueryConcurrency": "40", "CommandConcurrency": "15", "InvalidateConcurrency": "5"}


@pytest.mark.parametrize(("unreserved", "mark"), [(159, "✗ the functions reserve 60 of 1000"), (160, "✓")])
def test_reserving_executions_that_lambda_keeps_is_a_problem(aws: Account, unreserved: int, mark: str) -> None:
    limits(aws, 1000, unreserved)
    [line] = lines(concurrency(deployment(**RESERVED), aws))
    assert line.startswith(mark)


def test_executions_that_the_stack_has_reserved_already_are_not_counted_twice(aws: Account) -> None:
    limits(aws, 1000, 100)
    assert lines(concurrency(deployment(status=DEPLOYED, before=RESERVED), aws)) == [
        "✓ 1000 functions may run at once, 100 of them unreserved"
    ]


def test_a_new_account_runs_ten_functions_without_reserving(aws: Account) -> None:
    limits(aws, 10, 10)
    [line] = lines(concurrency(deployment(), aws))
    assert line.startswith("✓ 10 functions may run at once, 10 of them unreserved; polling takes")
    [line] = lines(concurrency(deployment(QueryConcurrency="1"), aws))
    assert line.startswith("✗")
