"""The template as CloudFormation sees it: translated by SAM, and evaluated for one choice of parameters.

References become readable text: `!Ref Vpc` is "Vpc", `!GetAtt Cache.Arn` is "Cache.Arn". A reference to a resource that
this choice does not create raises Dangling, so constructing a Stack proves that all its references resolve.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import intrinsics_multi_constructor

from local.cloudformation.intrinsics import PSEUDO, Intrinsics
from local.cloudformation.parameters import parameter_values, refusals

ROOT: Final = Path(__file__).parents[3]
TEMPLATE: Final = ROOT / "template.yaml"


class Dangling(Exception):
    """A reference to a resource that this choice of parameters does not create."""


class Refused(Exception):
    """CloudFormation refuses this choice of parameters. The text is the reason: a value or a rule."""


class Stack:
    """`resources`: logical id -> resource, conditions applied and references resolved. `outputs`: name -> value."""

    def __init__(self, text: str | None = None, **choice: str) -> None:
        source = read_template(text)
        self.parameters = accept(choice, source)
        template = _translate(source, self.parameters)
        self._intrinsics = Intrinsics(template, self.parameters, self._refer)
        created = {name: r for name, r in template["Resources"].items() if self._intrinsics.holds(r.get("Condition"))}
        self._created = frozenset(created)
        self._needs: dict[str, set[str]] = {}
        self.resources = {name: self._resource(name, resource) for name, resource in created.items()}
        self._reader = "Outputs"
        self.outputs = {
            name: self._intrinsics.value(output["Value"])
            for name, output in template["Outputs"].items()
            if self._intrinsics.holds(output.get("Condition"))
        }

    def of_type(self, *types: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of these types, by logical id."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] in types}

    def needs(self, name: str) -> set[str]:
        """Return all resources that are created before `name` and deleted after it."""
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
        self._needs.setdefault(name, set())
        depends = resource.get("DependsOn", [])
        for other in [depends] if isinstance(depends, str) else depends:
            self._refer(other)
        parts = {key: part for key, part in resource.items() if key not in {"Condition", "DependsOn"}}
        resolved: dict[str, Any] = self._intrinsics.value(parts)
        return resolved

    def _refer(self, name: str) -> str:
        if name not in self._created:
            raise Dangling(f"{self._reader} refers to {name}")
        self._needs.setdefault(self._reader, set()).add(name)
        return name


def stack_of(**choice: str) -> Stack:
    """Return the stack of this choice. It is translated once per session and shared: do not change it."""
    return _stack_of(frozenset(choice.items()))


@cache
def _stack_of(choice: frozenset[tuple[str, str]]) -> Stack:
    return Stack(**dict(choice))


def read_template(text: str | None = None) -> dict[str, Any]:
    """Return the template, or one with this text, untranslated. It is parsed once and shared: do not change it."""
    return _parse(text if text is not None else _template())


def translated(**choice: str) -> dict[str, Any]:
    """Return SAM's translation of the template, with conditions and references unevaluated."""
    source = read_template()
    return _translate(source, accept(choice, source))


def accept(choice: Mapping[str, str], source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all parameters. Raise Refused if CloudFormation would refuse this choice."""
    for reason in refusals(choice, source):
        raise Refused(reason)
    return parameter_values(choice, source)


class _Loader(yaml.CSafeLoader):
    """SAM's reader of `!Ref` and the like, on a parser in C, which takes a seventh of the time."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


@cache
def _template() -> str:
    return TEMPLATE.read_text()


@lru_cache(maxsize=8)
def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506
    return parsed


def _translate(source: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    source = json.loads(json.dumps(source))  # a copy without shared values: `sam build` writes out YAML's anchors too
    for resource in source["Resources"].values():  # SAM expects code in S3, as `sam package` leaves it
        for name in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://bucket/" + resource["Properties"][name]
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])  # it asks boto3 for one, but calls no service
    translated: dict[str, Any] = transform(source, parameters, _NoManagedPolicies())
    return translated


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}
