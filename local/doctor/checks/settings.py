"""samconfig.toml against template.yaml, without AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from local.cloudformation.parameters import refusals
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong
from local.doctor.plan import Plan

__all__ = ["parameters", "region", "sizes", "stack_name", "tags"]

_LONGEST: Final = 29
_GROWTH: Final = 1.1
_CERTIFICATES: Final = "layers/dependencies/certificates/rds-global-bundle.pem"


def stack_name(deployment: Deployment) -> Iterator[Finding]:
    name = deployment.configuration.stack
    if len(name) > _LONGEST or not re.fullmatch(r"[a-z](-?[a-z0-9])*", name):
        yield wrong(
            f"{name} cannot prefix the names of cache users: choose at most {_LONGEST} lower-case letters, digits and "
            "single hyphens, a letter first"
        )
    else:
        yield fine(name)


def parameters(deployment: Deployment) -> Iterator[Finding]:
    reasons = list(refusals(deployment.given, deployment.template, deployment.pseudo))
    yield from map(wrong, reasons)
    if not reasons:
        yield fine(f"{len(deployment.configuration.parameters)} set in samconfig.toml, all accepted by the template")


def sizes(deployment: Deployment) -> Iterator[Finding]:
    """A rule of CloudFormation cannot compare numbers."""
    plan = deployment.plan
    if plan.created("AWS::RDS::DBCluster") and _number(plan, "AuroraMinCapacity") > _number(plan, "AuroraMaxCapacity"):
        yield wrong("AuroraMinCapacity is larger than AuroraMaxCapacity")
    elif not plan.created("AWS::RDS::DBCluster") and plan.created("AWS::RDS::DBInstance"):
        storage, limit = _number(plan, "DatabaseStorage"), _number(plan, "DatabaseStorageLimit")
        if limit < _GROWTH * storage:
            yield wrong(f"RDS wants DatabaseStorageLimit to exceed DatabaseStorage by a tenth: {_GROWTH * storage:g}")


def _number(plan: Plan, name: str) -> float:
    try:
        return float(plan.parameter(name) or 0)
    except ValueError:
        return 0.0  # the parameter is refused anyway


def region(deployment: Deployment) -> Iterator[Finding]:
    if deployment.region not in deployment.template.get("Mappings", {}).get("Region", {}):
        yield wrong(f"the template does not know {deployment.region}: add it to the mapping Region, docs/deploying.md")
    elif f"Amazon RDS {deployment.region} Root CA" not in _authorities(deployment):
        yield wrong(f"{_CERTIFICATES} has no authority of {deployment.region}: functions could not verify the database")
    else:
        yield fine(deployment.region)


def _authorities(deployment: Deployment) -> str:
    import ssl

    return str(ssl.create_default_context(cafile=str(deployment.root / _CERTIFICATES)).get_ca_certs())


def tags(deployment: Deployment) -> Iterator[Finding]:
    given = deployment.configuration.tags
    if len(given) > 50:
        yield wrong(f"{len(given)} tags: CloudFormation takes at most 50")
    for key, value in given.items():
        if key.lower().startswith("aws:"):
            yield wrong(f"the tag {key}: AWS reserves the prefix aws:")
        elif len(key) > 128 or len(value) > 256:
            yield wrong(f"the tag {key[:20]}: a key has at most 128 characters, and a value 256")
