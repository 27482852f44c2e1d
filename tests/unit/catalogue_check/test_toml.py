"""Names of PostgreSQL in the header of a file, which is read as TOML."""

from __future__ import annotations

import tomllib

import pytest

from cacheaside.catalogue_check.toml import toml_list


def test_names_with_quotes_are_literal_strings() -> None:
    assert toml_list(["orders", '"InvoiceLine":{id}']) == """["orders", '"InvoiceLine":{id}']"""


@pytest.mark.parametrize("odd", ["\x7f", "\x1b", "\n", "\x85", "\u2028", "\\", "'", "é", "\\u007f"])
def test_name_with_a_control_character_can_be_read_again(odd: str) -> None:
    names = [f'"a{odd}b":{{id}}', f"a{odd}b"]
    written = toml_list(names)
    assert tomllib.loads(f"tags = {written}") == {"tags": names}
    assert written.isprintable()
