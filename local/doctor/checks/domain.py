"""The API's own domain and its certificate."""

from __future__ import annotations

from collections.abc import Iterator

from local.doctor.account import Account, Missing
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong

__all__ = ["certificate", "domain"]


def certificate(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    name, arn = deployment.plan.parameter("DomainName"), deployment.plan.parameter("CertificateArn")
    if not name or not arn:
        return
    if arn.split(":")[3:4] != [aws.region]:
        yield wrong(f"{arn} is not in {aws.region}: request a certificate in the region of the stack")
        return
    try:
        found = aws.ask("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    except Missing:
        yield wrong(f"{arn} does not exist in this account")
        return
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    if found["Status"] != "ISSUED":
        yield wrong(f"its status is {found['Status']}, not ISSUED: complete its validation by DNS")
    elif not _covers(names, name):
        yield wrong(f"it is for {', '.join(sorted(names))}, not for {name}")
    else:
        yield fine(f"issued for {name}")


def _covers(names: set[str], domain: str) -> bool:
    """A wildcard stands for one label."""
    return domain.lower() in names or f"*.{domain.lower().partition('.')[2]}" in names


def domain(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    name = deployment.plan.parameter("DomainName")
    if not name or (deployment.before and deployment.before.parameter("DomainName") == name):
        return
    try:
        aws.ask("apigatewayv2", "get_domain_name", DomainName=name)
    except Missing:
        yield fine(f"{name} is free")
    else:
        yield wrong(f"another API of this region has {name}: delete it there, or choose another name")
