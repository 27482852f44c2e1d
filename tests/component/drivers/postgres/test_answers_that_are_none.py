"""Answers that PostgreSQL never sends, as of a broken proxy: an unreachable database, and never another error."""

from __future__ import annotations

import struct
from functools import partial
from typing import Any

import psycopg2
import pytest

from cacheaside.catalogue.statements import Command
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.connection import KeptConnection
from cacheaside.drivers.postgres.constraints import columns_of
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import Conflict, DatabaseUnavailable
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from cacheaside.writing.idempotency import Idempotency
from cacheaside.writing.writer import Committed
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
    with serving(partial(answer_all, [result(columns, 1, 0)])) as port:
        queries = Queries(settings_of(port))
        with pytest.raises(DatabaseUnavailable):
            queries.load(Load(question("select 1", {}), 1_000))
        queries.forget()


def test_columns_of_a_constraint_that_are_no_names_are_those_of_a_database_that_cannot_be_reached() -> None:
    violated = b"SERROR\0C23505\0Mthere is one\0sshop\0tproducts\0nproducts_name_key\0\0"
    answers = [b"E" + struct.pack("!i", len(violated) + 4) + violated, result([(TEXT, None)], 1, 0)]
    with serving(partial(answer_all, answers)) as port:
        kept = KeptConnection(settings_of(port))
        with pytest.raises(Conflict) as caught:
            kept.run(lambda cur: cur.execute("insert"), 10)
        cause = caught.value.__cause__
        assert isinstance(cause, psycopg2.Error)
        with pytest.raises(DatabaseUnavailable):
            kept.run(lambda cur: columns_of(cur, cause), 10)


def test_second_row_of_an_idempotency_key_counts_for_nothing() -> None:
    key = result([(TEXT, b"fingerprint"), (TEXT, b"{}"), (TEXT, b"7")], 2, 0)
    answers = [result([(TEXT, b"7")], 1, 0), result([(TEXT, b"key")], 0, 0), key]
    command = Command("c", "", "select 1", "many", 10_000, {})
    with serving(partial(answer_all, answers)) as port:
        commands = Commands(settings_of(port))
        assert commands.execute(command, {}, Idempotency("key", "fingerprint")) == Committed(b"{}", "7", replayed=True)


def answer_all(answers: list[bytes], client: Any) -> None:
    """Answer each message with the next of `answers`, then with the last one."""
    client.recv(65_536)
    client.sendall(STARTED)
    following = iter(answers)
    answer = b""
    while client.recv(65_536):
        answer = next(following, answer)
        client.sendall(answer + b"Z" + struct.pack("!i", 5) + b"I")


def settings_of(port: int) -> DatabaseSettings:
    url = f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable&gssencmode=disable"
    return DatabaseSettings(url=url, authentication=Authentication.URL, region="")
