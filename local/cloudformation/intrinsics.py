"""CloudFormation's functions, evaluated for one choice of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from ipaddress import ip_network
from itertools import islice
from typing import Any, Final

PSEUDO: Final = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "shop",
    "AWS::URLSuffix": "amazonaws.com",
}
# References become readable text. These attributes look as in AWS, because the template splits them.
_ARNS: Final = {"DBProxyArn": "arn:aws:rds:eu-west-1:111122223333:db-proxy:prx-{name}"}
_NOTHING: Final = object()  # the value of AWS::NoValue
_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")


class Intrinsics:
    """Evaluates the functions of `template`.

    `refer` is called with the name of each referenced resource, and returns the text that replaces the reference.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, Any], refer: Callable[[str], str]) -> None:
        self._known = PSEUDO | dict(parameters)
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._mappings: Mapping[str, Any] = template.get("Mappings", {})
        self._refer = refer

    def value(self, node: Any) -> Any:
        """Return `node` with all functions replaced by their values."""
        if isinstance(node, list):
            return _present(self.value(item) for item in node)
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (key, argument), *_ = node.items()
            if function := self._functions.get(key):
                return function(argument)
        values = {key: self.value(item) for key, item in node.items()}
        return {key: value for key, value in values.items() if value is not _NOTHING}

    def holds(self, condition: Any) -> bool:
        """Return whether a condition is met. It is a name, a function, or None, which is always met."""
        if condition is None:
            return True
        return bool(self.value(self._conditions[condition] if isinstance(condition, str) else condition))

    @cached_property
    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._ref,
            "Condition": self.holds,
            "Fn::GetAtt": self._attribute,
            "Fn::Sub": self._sub,
            "Fn::If": lambda argument: self.value(argument[1] if self.holds(argument[0]) else argument[2]),
            "Fn::Equals": lambda pair: self.value(pair[0]) == self.value(pair[1]),
            "Fn::And": lambda conditions: all(self.holds(condition) for condition in conditions),
            "Fn::Or": lambda conditions: any(self.holds(condition) for condition in conditions),
            "Fn::Not": lambda conditions: not self.holds(conditions[0]),
            "Fn::Contains": lambda pair: self.value(pair[1]) in self.value(pair[0]),
            "Fn::EachMemberEquals": lambda pair: all(item == self.value(pair[1]) for item in self.value(pair[0])),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Join": lambda argument: argument[0].join(self.value(argument[1])),
            "Fn::Split": lambda argument: self.value(argument[1]).split(argument[0]),
            "Fn::Select": lambda argument: self.value(argument[1])[int(argument[0])],
            "Fn::Cidr": self._subnets,
            "Fn::GetAZs": lambda _: ["zone-a", "zone-b", "zone-c"],
        }

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        return self._known[name] if name in self._known else self._refer(name)

    def _attribute(self, argument: str | list[str]) -> str:
        path = argument if isinstance(argument, str) else ".".join(argument)
        name, _, attribute = path.partition(".")
        self._refer(name)
        return _ARNS[attribute].format(name=name) if attribute in _ARNS else path

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                return str(self.value(variables[name]))
            return str(self._attribute(name) if "." in name else self._ref(name))

        return _VARIABLE.sub(fill, text)

    def _subnets(self, argument: list[Any]) -> list[str]:
        block, count, bits = argument
        cut = ip_network(self.value(block)).subnets(new_prefix=32 - int(bits))
        return [str(subnet) for subnet in islice(cut, int(count))]

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.value(item) for item in argument)
        return self._mappings[name][first][second]


def _present(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if item is not _NOTHING]
