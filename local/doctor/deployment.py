"""The deployment that is examined: the choice of parameters, the template, and the stack as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from local.doctor.plan import Plan
from local.doctor.samconfig import Configuration

__all__ = ["Deployment", "Stack"]


@dataclass(frozen=True)
class Stack:
    """The stack that is deployed now."""

    status: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Deployment:
    root: Path  # the checkout
    configuration: Configuration
    template: dict[str, Any]
    region: str
    stack: Stack | None = None  # None: this is the first deployment, or the stack may not be seen

    @cached_property
    def given(self) -> dict[str, str]:
        """The parameters that CloudFormation is given. `sam deploy` keeps the values of a stack, not its defaults."""
        kept = self.stack.parameters if self.stack else {}
        declared = self.template["Parameters"]
        return {name: value for name, value in kept.items() if name in declared} | dict(self.configuration.parameters)

    @cached_property
    def plan(self) -> Plan:
        """The resources after the deployment."""
        return Plan(self.template, self.given)

    @cached_property
    def before(self) -> Plan | None:
        """The resources as they are now, if the stack was deployed from this template."""
        return Plan(self.template, self.stack.parameters) if self.stack else None

    def added(self, kind: str) -> int:
        """Return how many more resources of the type `kind` there are after the deployment."""
        return len(self.plan.created(kind)) - (len(self.before.created(kind)) if self.before else 0)
