"""The resources that template.yaml creates for one choice of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloudformation.intrinsics import Intrinsics
from local.cloudformation.parameters import parameter_values

__all__ = ["Plan"]

Json = dict[str, Any]


class Plan:
    """`given`: some parameters; the others have their defaults. Raises `KeyError` for an unknown parameter."""

    def __init__(self, template: Json, given: Mapping[str, str]) -> None:
        self._resources: Json = template["Resources"]
        self._values = parameter_values(given, template)
        self._intrinsics = Intrinsics(template, self._values, lambda name: name)

    def parameter(self, name: str) -> str:
        value = self._values[name]
        return ",".join(value) if isinstance(value, list) else value

    def number(self, name: str) -> float:
        """Return a number, 0 for another text: the template refuses that."""
        try:
            return float(self.parameter(name))
        except ValueError:
            return 0.0

    def items(self, name: str) -> list[str]:
        """Return the items of a list of values, without empty ones."""
        return [item.strip() for item in self.parameter(name).split(",") if item.strip()]

    def created(self, kind: str) -> list[Json]:
        """Return the properties of each resource of the type `kind` that this choice creates.

        A reference to another resource is its logical id.
        """
        return [
            self._intrinsics.value(resource.get("Properties", {}))
            for resource in self._resources.values()
            if resource["Type"] == kind and self._intrinsics.holds(resource.get("Condition"))
        ]
