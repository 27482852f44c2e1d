"""The resources that template.yaml creates for one choice of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloudformation.intrinsics import Intrinsics
from local.cloudformation.parameters import parameter_values
from local.doctor.finding import NotChecked

__all__ = ["Plan"]

Json = dict[str, Any]


class Plan:
    """`parameters`: those that are given; the others have their defaults. `pseudo`: values of pseudo parameters."""

    def __init__(self, template: Json, parameters: Mapping[str, str], pseudo: Mapping[str, str]) -> None:
        self._resources: Json = template["Resources"]
        self._values = parameter_values(parameters, template)
        self._intrinsics = Intrinsics(template, self._values | dict(pseudo), lambda name: name)

    def parameter(self, name: str) -> str:
        """Return a parameter's value. One that the template does not have is empty."""
        value = self._values.get(name, "")
        return ",".join(value) if isinstance(value, list) else value

    def items(self, name: str) -> list[str]:
        """Return the items of a list of values, without empty ones."""
        return [item.strip() for item in self.parameter(name).split(",") if item.strip()]

    def created(self, *types: str) -> dict[str, Json]:
        """Return the properties, unevaluated, of the resources of these types that this choice creates."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self._resources.items()
            if resource["Type"] in types and self._intrinsics.holds(resource.get("Condition"))
        }

    def value(self, node: Any) -> Any:
        """Return a property's value, None if it has none. A reference to a resource becomes its logical id."""
        try:
            return self._intrinsics.value({"it": node}).get("it")
        except KeyError as missing:
            raise NotChecked(f"not checked: the template's mappings have no {missing} for these parameters") from None

    def values(self, kind: str, name: str) -> list[Any]:
        """Return the property `name` of each resource of the type `kind` that has it."""
        found = [self.value(properties.get(name)) for properties in self.created(kind).values()]
        return [value for value in found if value is not None]
