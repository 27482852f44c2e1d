"""The template as CloudFormation will see it: translated by SAM, with one choice of parameters put in.

References become readable text: `!Ref Vpc` is "Vpc", `!GetAtt Cache.Arn` is "Cache.Arn". One to something that this
choice of parameters does not create is an error, so reading a Stack proves that nothing in it dangles.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT: Final = Path(__file__).parents[2]
TEMPLATE: Final = ROOT / "template.yaml"
PSEUDO: Final = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "shop",
    "AWS::URLSuffix": "amazonaws.com",
}
_NOTHING: Final = object()  # what AWS::NoValue leaves behind
_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")


class Dangling(Exception):
    """Something refers to a resource that this choice of parameters does not create."""


class Stack:
    """`resources`: logical id -> resource, conditions applied and references resolved. `outputs`: name -> value."""

    def __init__(self, text: str | None = None, **parameters: str) -> None:
        source = yaml_parse(text if text is not None else TEMPLATE.read_text())
        self.parameters = {name: str(p["Default"]) for name, p in source["Parameters"].items()} | parameters
        template = _translate(source, self.parameters)
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        created = {name: r for name, r in template["Resources"].items() if self._holds(r.get("Condition"))}
        self._created = frozenset(created)
        self._needs: dict[str, set[str]] = {}
        self.resources = {name: self._resource(name, resource) for name, resource in created.items()}
        self._reader = "Outputs"
        self.outputs = {name: self._value(output["Value"]) for name, output in template["Outputs"].items()}

    def of_type(self, *types: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of these types, by logical id."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] in types}

    def needs(self, name: str) -> set[str]:
        """Return every resource that stands before `name` is created, and until after it is deleted."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            new = self._needs[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        return self.of_type("AWS::Lambda::Function")

    def _resource(self, name: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        self._reader = name
        depends = resource.get("DependsOn", [])
        for other in [depends] if isinstance(depends, str) else depends:
            self._reference(other)
        return self._value({key: part for key, part in resource.items() if key not in {"Condition", "DependsOn"}})

    def _reference(self, name: str) -> str:
        if name not in self._created:
            raise Dangling(f"{self._reader} refers to {name}")
        self._needs.setdefault(self._reader, set()).add(name)
        self._needs.setdefault(name, set())
        return name

    def _holds(self, condition: Any) -> bool:
        if condition is None:
            return True
        return bool(self._value(self._conditions[condition] if isinstance(condition, str) else condition))

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            return _present(self._value(item) for item in node)
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (key, argument), *_ = node.items()
            if intrinsic := self._intrinsics.get(key):
                return intrinsic(argument)
        values = {key: self._value(item) for key, item in node.items()}
        return {key: value for key, value in values.items() if value is not _NOTHING}

    @cached_property
    def _intrinsics(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._ref,
            "Condition": self._holds,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._sub,
            "Fn::If": lambda argument: self._value(argument[1] if self._holds(argument[0]) else argument[2]),
            "Fn::Equals": lambda pair: self._value(pair[0]) == self._value(pair[1]),
            "Fn::And": lambda conditions: all(self._holds(condition) for condition in conditions),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Join": lambda argument: argument[0].join(self._value(argument[1])),
            "Fn::Split": lambda argument: self._value(argument[1]).split(argument[0]),
            "Fn::Select": lambda argument: self._value(argument[1])[int(argument[0])],
            "Fn::GetAZs": lambda _: ["zone-a", "zone-b", "zone-c"],
        }

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        known = PSEUDO | self.parameters
        return known[name] if name in known else self._reference(name)

    def _attribute(self, argument: str | list[str]) -> str:
        path = argument if isinstance(argument, str) else ".".join(argument)
        self._reference(path.partition(".")[0])
        return path

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                return str(self._value(variables[name]))
            return str(self._attribute(name) if "." in name else self._ref(name))

        return _VARIABLE.sub(fill, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self._value(item) for item in argument)
        return self._mappings[name][first][second]


def _translate(source: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
    source = copy.deepcopy(source)
    for resource in source["Resources"].values():  # SAM wants code to be in S3 already, as `sam package` leaves it
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://bucket/" + resource["Properties"][name]
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])  # it asks boto3 for one, and calls nobody
    return transform(source, parameters, _NoManagedPolicies())


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def _present(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if item is not _NOTHING]
