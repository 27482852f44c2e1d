"""The security group of an existing server, to which the stack adds a rule."""

from __future__ import annotations

from collections.abc import Sequence

from local.doctor.account import Account, Missing

__all__ = ["group_problem"]


def group_problem(aws: Account, group: str, attached: Sequence[str], server: str, vpc: str) -> str | None:
    """Return what is wrong with `group`: it does not exist, is in another VPC, or is not `server`'s. Else None."""
    try:
        [found] = aws.ask("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"]
    except Missing:
        return f"{group} does not exist in {aws.region}"
    if vpc and found["VpcId"] != vpc:
        return f"{group} is in {found['VpcId']}, and VpcId is {vpc}"
    if group not in attached:
        return f"{server} has {', '.join(attached) or 'no group'}, not {group}"
    return None
