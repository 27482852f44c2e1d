"""Parse trees as PostgreSQL prints them: nested, escaped, and deeper than Python's stack."""

from __future__ import annotations

import pytest

from cacheaside.drivers.postgres.introspection.parse_tree import Node, nodes, parsed

TREE = (
    r"(({QUERY :cteList <> :targetList ({TARGETENTRY :resno 1 :resname a\ b\{} {TARGETENTRY :resno 2 :resname <>})}))"
)


def query(text: str) -> Node:
    match parsed(text):
        case [[Node() as found]]:
            return found
    raise AssertionError(text)


def test_names_with_spaces_and_braces_are_read_whole() -> None:
    first, second = (each for each in query(TREE).items("targetList") if isinstance(each, Node))
    assert (first.text("resname"), first.number("resno")) == ("a b{", 1)
    assert (second.text("resname"), second.number("resno")) == ("", 2)


@pytest.mark.parametrize(("written", "name"), [(":a", ":a"), (r":resno\ 1", ":resno 1"), (r"\<>", "<>"), (r"\\", "\\")])
def test_any_name_is_read_as_a_name(written: str, name: str) -> None:
    [entry] = nodes(parsed(f"{{TARGETENTRY :resname {written} :resno 1}}"))
    assert (entry.text("resname"), entry.number("resno")) == (name, 1)


def test_absent_and_empty_fields_are_empty() -> None:
    tree = query(TREE)
    assert (tree.items("cteList"), tree.items("none"), tree.text("none"), tree.number("none")) == ([], [], "", 0)


def test_every_node_is_visited() -> None:
    assert sorted(node.kind for node in nodes(parsed(TREE))) == ["QUERY", "TARGETENTRY", "TARGETENTRY"]


def test_expression_of_any_depth_is_read() -> None:
    depth = 20_000
    tree = parsed("{OPEXPR :args (" * depth + ")}" * depth)
    assert sum(1 for _ in nodes(tree)) == depth
