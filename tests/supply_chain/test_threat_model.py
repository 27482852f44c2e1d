"""docs/threat-model.md names a test for each threat, and each exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

import pytest

from tests.support.root import ROOT

TEXT: Final = (ROOT / "docs/threat-model.md").read_text()
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| threat ")
]
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def functions_of(path: str) -> set[str]:
    if not (ROOT / path).exists():
        return set()
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing(cell: str) -> list[str]:
    return [f"{path}::{name}" for path, name in _TEST.findall(cell) if name not in functions_of(path)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_threat_has_a_test_or_is_accepted(row: list[str]) -> None:
    _, prevention, tests = row
    if tests.startswith("accepted: "):
        assert (prevention, len(tests) > 40) == ("", True), "it says why"
    else:
        assert prevention
        assert _TEST.sub("", tests).strip() == ""
        assert _TEST.findall(tests)
        assert missing(tests) == []


def test_test_that_was_renamed_is_missed() -> None:
    assert missing("`tests/supply_chain/test_threat_model.py::test_of_another_name` `tests/no.py::test_x`") == [
        "tests/supply_chain/test_threat_model.py::test_of_another_name",
        "tests/no.py::test_x",
    ]


def test_every_threat_is_in_a_table() -> None:
    assert len(ROWS) > 40
    assert {len(row) for row in ROWS} == {3}
