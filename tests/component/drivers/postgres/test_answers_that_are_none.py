"""Answers that PostgreSQL never sends, as of a broken proxy: an unreachable database, and never another error."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseUnavailable
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from proofs.fuzz.fake_servers import serving
from proofs.fuzz.postgres import STARTED, result
from tests.component.support.question import question

TEXT, INTEGER, NUMERIC, DATE, ARRAY, JSON = 25, 23, 1700, 1082, 1007, 114


@pytest.mark.parametrize(
    "columns",
    [
        *([(INTEGER, b"many")], [(NUMERIC, b"1e99999999999999999999")], [(DATE, b"2024-99-99")], [(ARRAY, b"{1,")]),
        [(JSON, b"[" * 5_000)],
        *([], [(TEXT, b"{}"), (TEXT, b"{}")], [(TEXT, None)], [(INTEGER, b"1")]),
    ],
)
def test_row_that_is_no_json_text_is_that_of_a_database_that_cannot_be_reached(
    columns: list[tuple[int, bytes | None]],
) -> None:
    def serve(client: Any) -> None:
        client.recv(65_536)
        client.sendall(STARTED)
        while client.recv(65_536):
            client.sendall(result(columns, 1, 0) + b"Z" + struct.pack("!i", 5) + b"I")

    with serving(serve) as port:
        url = f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable&gssencmode=disable"
        queries = Queries(DatabaseSettings(url=url, authentication=Authentication.URL, region=""))
        with pytest.raises(DatabaseUnavailable):
            queries.load(Load(question("select 1", {}), 1_000))
        queries.forget()
