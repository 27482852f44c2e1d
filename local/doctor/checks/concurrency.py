"""Lambda's limit of functions that run at once."""

from __future__ import annotations

from typing import Final

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.deployment import Deployment
from local.doctor.plan import Plan

__all__ = ["concurrency"]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_ALWAYS_UNRESERVED: Final = 100
_NEW_ACCOUNT: Final = 10


def concurrency(deployment: Deployment, aws: Account) -> Check:
    limits = aws.ask("lambda", "get_account_settings")["AccountLimit"]
    limit = limits["ConcurrentExecutions"]
    reserved = _reserved(deployment.plan)
    held = _reserved(deployment.before) if deployment.before else 0
    left = limits["UnreservedConcurrentExecutions"] + held - reserved
    if reserved and left < _ALWAYS_UNRESERVED:
        yield (
            f"the functions reserve {reserved} of {limit} executions and leave {left}, and Lambda keeps "
            f'{_ALWAYS_UNRESERVED} unreserved: reserve less, or raise the quota "Concurrent executions" of Lambda'
        )
    advice = "; polling takes up to two of them: raise the quota for load" if limit <= _NEW_ACCOUNT else ""
    return f"{limit} functions may run at once, {left} of them unreserved{advice}"


def _reserved(plan: Plan) -> int:
    return int(sum(map(plan.number, ("QueryConcurrency", "CommandConcurrency", "InvalidateConcurrency"))))
