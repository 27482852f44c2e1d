"""Text of any script, in databases of any encoding: the row, or a 4xx at once. Never an unreachable database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest

from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.api import Api
from tests.component.support.declared import declared_command, declared_query
from tests.support.problem_document import check_problem

ENCODINGS: Final = ("SQL_ASCII", "LATIN1", "EUC_JP", "UTF8")
SCHEMA: Final = """
create table words (word text);
insert into words values (%s);
grant select, insert on words to cacheaside_query, cacheaside_command;
create function refuse(reason text) returns text language plpgsql as 'begin raise ''%%'', reason; end';
"""
WORDS: Final = {"SQL_ASCII": "café", "LATIN1": "café", "EUC_JP": "日本", "UTF8": "€🙈"}
# In SQL_ASCII, any bytes are text.
FOREIGN: Final = {"LATIN1": "€", "EUC_JP": "🙈"}


@pytest.fixture(scope="module", params=ENCODINGS)
def encoding(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[str]:
    """A database in this encoding, of the same name, with one word."""
    name = str(request.param)
    options = f"encoding '{name}' locale 'C' locale_provider libc template template0"
    with closing(psycopg2.connect(postgres.url)) as owner, owner.cursor() as cursor:
        owner.autocommit = True
        cursor.execute(f'create database "{name}" {options}')
        with closing(psycopg2.connect(postgres.url_for("postgres", name), client_encoding="UTF8")) as connection:
            upgrade(connection)
            connection.autocommit = True
            inside = connection.cursor()
            inside.execute(SCHEMA, [WORDS[name]])
        yield name
        cursor.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def encoded_api(encoding: str, postgres: PostgresServer, start_api: Callable[..., Api], client: Any) -> Api:
    return start_api(postgres.url_for("postgres", encoding))


def test_stored_text_is_answered(encoding: str, encoded_api: Api) -> None:
    ask = declared_query(encoded_api, "select word from words limit 1")
    for _ in range(4):  # more than open a breaker
        assert ask().json["data"] == [{"word": WORDS[encoding]}]
        encoded_api.post("/invalidations", {"query": "declared"})


def test_text_that_the_encoding_has_is_found(encoding: str, encoded_api: Api) -> None:
    ask = declared_query(encoded_api, "select word from words where word = %(x)s", x="text")
    assert ask(x=WORDS[encoding]).json["data"] == [{"word": WORDS[encoding]}]
    assert ask(x="cafe").json["data"] == []


def test_text_that_the_encoding_lacks_is_the_callers_error_and_leaves_no_lease(
    encoding: str, encoded_api: Api, client: Any
) -> None:
    text = FOREIGN.get(encoding, "日本🙈")
    answer = declared_query(encoded_api, "select word from words where word = %(x)s", x="text")(x=text)
    if encoding in FOREIGN:
        check_problem(answer, 422)
    else:
        assert answer.json["data"] == []
    assert client.keys("cacheaside:lease:*") == []
    write = declared_command(encoded_api, "insert into words values (%(x)s) returning word", x="text")
    assert write(x=text).status == (422 if encoding in FOREIGN else 200)
    assert write(x=WORDS[encoding]).json["data"] == [{"word": WORDS[encoding]}]


def test_message_of_postgresql_in_any_script_is_no_outage(encoding: str, encoded_api: Api) -> None:
    refuse = "select refuse(word) from words where %(x)s <> ''"
    check_problem(declared_query(encoded_api, refuse, x="text")(x="a"), 422)
    check_problem(declared_command(encoded_api, refuse, x="text")(x="a"), 422)


@pytest.mark.parametrize("encoding", ["SQL_ASCII"], indirect=True)  # the other encodings refuse such bytes
def test_bytes_that_are_no_utf8_are_an_error_of_ours_and_no_outage(encoded_api: Api) -> None:
    for _ in range(2):  # together more than open a breaker
        for sql in (r"select e'caf\xe9' as word", r"select refuse(e'caf\xe9')"):
            assert check_problem(declared_query(encoded_api, sql)(), 500)["type"] == "/docs#internal"
    assert declared_query(encoded_api, "select word from words limit 1")().json["data"] == [{"word": "café"}]


KEYED: Final = """
create table keyed (word text primary key);
create table other (id integer primary key);
select cacheaside.watch('keyed', 'other');
delete from cacheaside.outbox;
"""


def test_key_that_has_no_utf8_stops_no_invalidation(encoding: str, postgres: PostgresServer) -> None:
    url = postgres.url_for("postgres", encoding)
    with closing(psycopg2.connect(url, client_encoding="UTF8")) as owner, owner, owner.cursor() as cursor:
        cursor.execute(KEYED)
        cursor.execute("insert into keyed values (%s)", [WORDS[encoding]])
        if encoding == "SQL_ASCII":
            cursor.execute(r"insert into keyed values (e'caf\xe9')")
        cursor.execute("insert into other values (1)")
    try:
        with Outbox(DatabaseSettings(url, Authentication.URL, region="")).batch() as batch:
            changes = sorted(batch.changes)
    finally:
        with closing(psycopg2.connect(url)) as owner, owner, owner.cursor() as cursor:
            cursor.execute("select cacheaside.unwatch('keyed'), cacheaside.unwatch('other'); drop table keyed, other")
    assert changes == [*(["keyed"] if encoding == "SQL_ASCII" else []), f"keyed:{WORDS[encoding]}", "other:1"]


@pytest.mark.parametrize("encoding", ["SQL_ASCII"], indirect=True)
def test_table_whose_name_has_no_utf8_is_refused(encoding: str, postgres: PostgresServer) -> None:
    url = postgres.url_for("postgres", encoding)
    with closing(psycopg2.connect(url, client_encoding="LATIN1")) as owner, owner.cursor() as cursor:
        cursor.execute(r"""do $$ begin execute e'create table "caf\xe9" (id integer primary key)'; end $$""")
        cursor.execute("select relname::regclass from pg_class where relname like 'caf%%'")
        with pytest.raises(psycopg2.errors.RaiseException, match="its name is no UTF-8"):
            cursor.execute("select cacheaside.watch(oid::regclass) from pg_class where relname like 'caf%%'")
