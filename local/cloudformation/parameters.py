"""The parameters of a template: their values, and the reasons for which CloudFormation would refuse them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.cloudformation.intrinsics import Intrinsics

__all__ = ["parameter_values", "refusals"]


def parameter_values(given: Mapping[str, str], template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each parameter that the template declares: the given one, else its default."""
    return {
        name: _value(str(given.get(name, declared.get("Default", ""))), declared)
        for name, declared in template["Parameters"].items()
    }


def refusals(
    given: Mapping[str, str], template: Mapping[str, Any], pseudo: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield each reason to refuse the given parameters: an unknown name, a value, a rule of the template.

    `pseudo`: values of pseudo parameters, such as AWS::Region. The others have example values.
    """
    declared = template["Parameters"]
    yield from (f"there is no parameter {name}" for name in given if name not in declared)
    for name, parameter in declared.items():
        if name not in given and "Default" not in parameter:
            yield f"{name} has no default: give it a value"
        elif reason := _refusal(name, str(given.get(name, parameter.get("Default"))), parameter):
            yield reason
    evaluated = Intrinsics({}, parameter_values(given, template) | dict(pseudo or {}), _no_resource)
    for rule in template.get("Rules", {}).values():
        if evaluated.holds(rule.get("RuleCondition")):
            for assertion in rule["Assertions"]:
                if not evaluated.holds(assertion["Assert"]):
                    yield assertion["AssertDescription"]


def _value(text: str, parameter: Mapping[str, Any]) -> str | list[str]:
    is_list = parameter["Type"] == "CommaDelimitedList" or parameter["Type"].startswith("List<")
    return [item.strip() for item in text.split(",")] if is_list else text


def _refusal(name: str, value: str, parameter: Mapping[str, Any]) -> str | None:
    allowed = [str(each) for each in parameter.get("AllowedValues", [value])]
    if value not in allowed:
        return f"{name} is one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", ".*"), value):
        return f"{name} looks like {parameter['AllowedPattern']}"
    if parameter["Type"] == "Number":
        return _refused_number(name, value, parameter)
    return None


def _refused_number(name: str, value: str, parameter: Mapping[str, Any]) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return f"{name} is a number"
    if number < parameter.get("MinValue", number):
        return f"{name} is at least {parameter['MinValue']}"
    if number > parameter.get("MaxValue", number):
        return f"{name} is at most {parameter['MaxValue']}"
    return None


def _no_resource(name: str) -> str:
    raise LookupError(f"a rule refers to {name}, which is no parameter")
