"""samconfig.toml against template.yaml, without AWS."""

from __future__ import annotations

import re
from typing import Final

from local.cloudformation.parameters import refusals
from local.doctor.check import Check
from local.doctor.deployment import Deployment

__all__ = ["parameters", "region", "sizes", "stack_name"]

_LONGEST: Final = 29
_GROWTH: Final = 1.1
_FRACTIONS: Final = {"AuroraMinCapacity", "AuroraMaxCapacity"}
_CERTIFICATES: Final = "layers/dependencies/certificates/rds-global-bundle.pem"


def stack_name(deployment: Deployment) -> Check:
    name = deployment.configuration.stack
    if len(name) > _LONGEST or not re.fullmatch(r"[a-z](-?[a-z0-9])*", name):
        yield (
            f"{name} cannot prefix the names of cache users: choose at most {_LONGEST} lower-case letters, digits and "
            "single hyphens, a letter first"
        )
    return name


def parameters(deployment: Deployment) -> Check:
    yield from refusals(deployment.given, deployment.template, {"AWS::Region": deployment.region})
    return f"{len(deployment.configuration.parameters)} set in samconfig.toml, all accepted by the template"


def sizes(deployment: Deployment) -> Check:
    """A rule of CloudFormation cannot compare numbers, nor tell a fraction."""
    plan = deployment.plan
    for name, parameter in deployment.template["Parameters"].items():
        if parameter["Type"] == "Number" and name not in _FRACTIONS and plan.number(name) % 1:
            yield f"{name} is {plan.parameter(name)}: give a whole number"
    source = plan.parameter("DatabaseSource")
    if source == "aurora" and plan.number("AuroraMinCapacity") > plan.number("AuroraMaxCapacity"):
        yield "AuroraMinCapacity is larger than AuroraMaxCapacity"
    if source == "new" and plan.number("DatabaseStorageLimit") < _GROWTH * plan.number("DatabaseStorage"):
        yield "RDS wants DatabaseStorageLimit to exceed DatabaseStorage by a tenth or more"
    return None


def region(deployment: Deployment) -> Check:
    if deployment.region not in deployment.template["Mappings"]["Region"]:
        yield f"the template does not know {deployment.region}: add it to the mapping Region, docs/deploying.md"
    elif f"Amazon RDS {deployment.region} Root CA" not in _authorities(deployment):
        yield f"{_CERTIFICATES} has no authority of {deployment.region}: functions could not verify the database"
    return deployment.region


def _authorities(deployment: Deployment) -> str:
    import ssl

    return str(ssl.create_default_context(cafile=str(deployment.root / _CERTIFICATES)).get_ca_certs())
