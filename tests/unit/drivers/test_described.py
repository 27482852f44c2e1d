"""Descriptions that a server sends and that are none: an error that the driver translates, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside.drivers.postgres.described import read_described


class Cursor:
    def __init__(self, row: tuple[object, ...]) -> None:
        self.row = row

    def execute(self, *_: object) -> None: ...

    def fetchall(self) -> list[Any]:
        return [self.row]


@pytest.mark.parametrize(
    "row", [(None, None, None), ("queries/q", [1], {}), ("queries/q", [["id"]], {}), ("queries/q", [], {}, "more")]
)
def test_row_that_is_no_description_is_a_value_error(row: tuple[object, ...]) -> None:
    cursor: Any = Cursor(row)
    with pytest.raises(ValueError):
        read_described(cursor, [])
