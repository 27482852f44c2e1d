"""Mutation testing: the changes that it makes, how one gets into a process, and the list of those that may survive."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter

from proofs.mutation.__main__ import ROOMS, explained_mutants, files_of
from proofs.mutation.mutants import LIBRARY, mutants_of
from proofs.mutation.operators import Place, changes
from tests.support.root import ROOT

NAMES = [placed.mutant.name for room in ROOMS for path in files_of(room) for placed in mutants_of(path)]


def changed(source: str) -> set[str]:
    tree = ast.parse(source)
    found = set[str]()
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            for position, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                for place, other in changes(node, Place(parent, field, position)) if isinstance(node, ast.AST) else ():
                    held = getattr(place.parent, place.field)
                    before = held if place.position is None else held[place.position]
                    place.put(other)
                    found.add(ast.unparse(tree))
                    place.put(before)
    return found


def test_each_operator_changes_its_node_alone() -> None:
    assert changed("a < 3") == {"a <= 3", "a < 4"}
    assert changed("a and not b") == {"a", "not b", "a and b"}
    assert changed("f(a, key=b[1:])") == {"pass", "f(a)", "f(a, key=b[2:])", "f(a, key=b[:])"}
    assert changed("min(a, b) + c") == {"max(a, b) + c", "a + c", "b + c", "min(a, b) - c"}
    assert changed("x if a else y") == {"x if True else y", "x if False else y"}
    assert changed("'two words'") == set()


def test_no_two_mutants_have_one_name() -> None:
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []


def test_explained_mutants_still_exist() -> None:
    assert explained_mutants().keys() - set(NAMES) == set()


APPLIED = """
from cacheaside.catalogue.durations import parse_duration_ms as imported
from cacheaside.catalogue.policy import Policy
from proofs.mutation.mutants import LIBRARY, mutants_of

def apply(path, name):
    [placed] = [each for each in mutants_of(LIBRARY / path) if each.mutant.name.endswith(name)]
    placed.apply()

apply("cacheaside/catalogue/durations.py", "_MILLISECONDS: 1000 → 1001")
assert imported("2s") == 2_002
apply("cacheaside/catalogue/policy.py", "Policy.tag_ms: 2 → 3")
assert Policy(ttl_ms=10_000).tag_ms == 3 * 12_000 + 30_000
"""


def test_mutant_takes_the_place_of_a_constant_and_of_a_property_in_all_that_imported_them() -> None:
    environment = os.environ | {"PYTHONPATH": f"{LIBRARY}{os.pathsep}{ROOT}"}
    subprocess.run([sys.executable, "-c", APPLIED], env=environment, check=True, timeout=300)
