"""The IAM statements of a stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.template.support.stack import Stack


def listed(value: Any) -> list[Any]:
    """Return `value` if it is a list, else a list of it: IAM takes both."""
    return value if isinstance(value, list) else [value]


def statements(stack: Stack) -> Iterator[dict[str, Any]]:
    """Return the statements of all policies, managed and inline."""
    for policy in stack.of_type("AWS::IAM::ManagedPolicy").values():
        yield from policy["PolicyDocument"]["Statement"]
    for role in stack.of_type("AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            yield from policy["PolicyDocument"]["Statement"]
