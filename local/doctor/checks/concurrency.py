"""Lambda's limit of functions that run at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from local.doctor.account import Account
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong
from local.doctor.plan import Plan

__all__ = ["concurrency"]

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_ALWAYS_UNRESERVED: Final = 100
_NEW_ACCOUNT: Final = 10


def concurrency(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    limits = aws.ask("lambda", "get_account_settings")["AccountLimit"]
    limit = limits["ConcurrentExecutions"]
    reserved = _reserved(deployment.plan)
    held = _reserved(deployment.before) if deployment.before else 0
    left = limits["UnreservedConcurrentExecutions"] + held - reserved
    if reserved and left < _ALWAYS_UNRESERVED:
        yield wrong(
            f"the functions reserve {reserved} of {limit} executions and leave {left}, and Lambda keeps "
            f'{_ALWAYS_UNRESERVED} unreserved: reserve less, or raise the quota "Concurrent executions" of Lambda'
        )
    elif limit <= _NEW_ACCOUNT and deployment.plan.parameter("Invalidation") in ("poll", "listen"):
        yield fine(f"{limit} functions may run at once, and polling takes up to two of them: raise the quota for load")
    else:
        yield fine(f"{limit} functions may run at once, {left} of them unreserved")


def _reserved(plan: Plan) -> int:
    return sum(map(int, plan.values("AWS::Serverless::Function", "ReservedConcurrentExecutions")))
