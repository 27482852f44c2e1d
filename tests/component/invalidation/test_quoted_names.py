"""A table of any name, the whole way: from the check's advice to a hit, a plain write, and a miss."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.catalogue_check.check import check_statements
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.introspection.inspector import inspecting
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.invalidation.by_hand import invalidate
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from tests.component.support.cache_servers import CacheServer, client_of, settings_of
from tests.component.support.hostile_names import HOSTILE_NAMES, quoted
from tests.component.support.temporary_database import temporary_database

IN_CLUSTER = ("mixed case", "braces", "schema with a comma")
ID = '-- params.{} = {{ type = "integer", example = 1 }}\n'


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """A database with each table. The query function may read them."""
    schema = ""
    for names in HOSTILE_NAMES.values():
        schema += f"""
            create schema if not exists {quoted(names[0])};
            grant usage on schema {quoted(names[0])} to cacheaside_query;
            create table {quoted(*names)} ({quoted(names[1])} bigint primary key, "theValue" text);
            grant select on {quoted(*names)} to cacheaside_query;
        """
    with temporary_database(postgres, "quoted_names", schema) as url:
        yield url


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    (tmp_path / "queries").mkdir()
    return tmp_path


@dataclass
class Stack:
    """The library on real servers."""

    catalogue: Catalogue
    cache: Cache
    reader: Reader
    drainer: Drainer
    url: str

    @classmethod
    def of(cls, folder: Path, url: str, valkey: CacheServer) -> Stack:
        def settings(role: str) -> DatabaseSettings:
            as_role = url.replace("://postgres", f"://{role}", 1)
            return DatabaseSettings(url=as_role, authentication=Authentication.URL, region="")

        with client_of(valkey) as client:
            client.flushall()
        cache = Cache(settings_of(valkey))
        drainer = Drainer(Outbox(settings("cacheaside_invalidate")), cache)
        drainer.drain()
        queries = Queries(settings("cacheaside_query"))
        return cls(Catalogue.load(folder), cache, Reader(cache, queries), drainer, url)

    def read(self, name: str, **values: str) -> tuple[str, Any]:
        """Return the source of the answer, and the answer."""
        query = self.catalogue.query(name)
        bound = bind_text(query.parameters, {each: [value] for each, value in values.items()})
        outcome = self.reader.read(Question(query, bound), lambda: 29_000).outcome
        assert outcome.entry.body is not None
        return outcome.source.name, json.loads(outcome.entry.body)["data"]

    def invalidate(self, request: Mapping[str, object]) -> dict[str, int]:
        return invalidate(self.cache, self.catalogue, request)


def run(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def messages(folder: Path, url: str) -> list[str]:
    with closing(psycopg2.connect(url)) as connection, inspecting(connection) as database:
        return [problem.message for problem in check_statements(folder, database).problems]


def write(folder: Path, name: str, tags: str, sql: str, *parameters: str) -> None:
    declared = "".join(ID.format(parameter) for parameter in parameters)
    (folder / f"queries/{name}.sql").write_text(f'-- summary = "x"\n-- ttl = "60s"\n{tags}\n{declared}{sql}\n')


@pytest.mark.parametrize(
    ("valkey", "names"),
    [
        *(pytest.param("node-8", names, id=what) for what, names in HOSTILE_NAMES.items()),
        # A part of a key in braces decides about its slot.
        *(pytest.param("cluster-8", HOSTILE_NAMES[what], id=f"cluster: {what}") for what in IN_CLUSTER),
    ],
    indirect=["valkey"],
)
def test_plain_write_to_a_table_of_any_name_takes_its_answers_out(
    catalogue: Path, url: str, valkey: CacheServer, names: tuple[str, str]
) -> None:
    table, key = quoted(*names), quoted(names[1])
    sql = f"select * from {table} order by {key}".replace("%", "%%")
    of_row = f"select * from {table} as t where t.{key} = ".replace("%", "%%") + "%(rowId)s"
    write(catalogue, "rows", "-- tags = []", sql)
    found = messages(catalogue, url)
    [line] = {message.rpartition("; write ")[2] for message in found if "; write " in message}
    for message in found:
        if "put into a migration: " in message:
            run(url, message.rpartition("put into a migration: ")[2])
    [tag] = tomllib.loads(line.removeprefix("--"))["tags"]
    write(catalogue, "rows", line, sql)
    write(catalogue, "one", line[:-2] + ":{rowId}" + line[-2:], of_row, "rowId")
    assert messages(catalogue, url) == []

    run(url, f"truncate {table}; insert into {table} values (1, 'old'), (2, 'old')")
    stack = Stack.of(catalogue, url, valkey)
    old = [{names[1]: 1, "theValue": "old"}, {names[1]: 2, "theValue": "old"}]
    for source in ("MISS", "HIT"):
        assert stack.read("rows") == (source, old)
        assert [stack.read("one", rowId=row) for row in "12"] == [(source, old[:1]), (source, old[1:])]
    run(url, f"""update {table} set "theValue" = 'new' where {key} = 1""")
    assert stack.drainer.drain().rows == 1
    new = {names[1]: 1, "theValue": "new"}
    assert stack.read("rows") == ("MISS", [new, old[1]])
    assert [stack.read("one", rowId=row) for row in "12"] == [("MISS", [new]), ("HIT", old[1:])]
    run(url, f"truncate {table}")
    assert stack.drainer.drain().rows == 1
    assert [stack.read("one", rowId=row) for row in "12"] == [("MISS", []), ("MISS", [])]

    assert stack.invalidate({"tags": [f"{tag}:1"]}) == {"tags": 1}
    assert [stack.read("one", rowId=row)[0] for row in "12"] == ["MISS", "HIT"]
    assert stack.invalidate({"tags": [tag]})["tags"] >= 1
    assert [stack.read("one", rowId=row)[0] for row in "12"] == ["MISS", "MISS"]
