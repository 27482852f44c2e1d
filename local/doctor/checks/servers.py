"""An existing database or cache against the parameters that describe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from local.doctor.account import Account
from local.doctor.plan import Plan

__all__ = ["differences", "group_problems"]


def differences(plan: Plan, server: str, actual: Mapping[str, object]) -> Iterator[str]:
    """Yield each parameter whose value is not the `actual` one of `server`."""
    for name, value in actual.items():
        if plan.parameter(name).lower() != str(value).lower():
            yield f"{name} is {plan.parameter(name)}, and {server} has {value}"


def group_problems(plan: Plan, server: str, name: str, attached: Sequence[str], aws: Account) -> Iterator[str]:
    """Yield why a rule in the security group of the parameter `name` would not open `server`. Raises `Missing`."""
    if not (group := plan.parameter(name)):
        return
    [found] = aws.ask("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"]
    if found["VpcId"] != plan.parameter("VpcId"):
        yield f"{name}: {group} is in {found['VpcId']}, and VpcId is {plan.parameter('VpcId')}"
    elif group not in attached:
        yield f"{name}: {server} has {', '.join(attached) or 'no group'}, not {group}"
