"""No statement of the query and the command function pins a connection of RDS Proxy, and their timeouts hold.

The conditions: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import psycopg2
import pytest
import redis

from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import Busy, StatementTimeout
from cacheaside.reading.steps import Load
from cacheaside.settings import DatabaseSettings
from local.examples import example_path
from local.servers.postgres import PostgresServer
from tests.component.support.api import Api
from tests.component.support.closed_port import refusing_url
from tests.component.support.declared import declared_command
from tests.component.support.question import question
from tests.component.support.recording_proxy import Recorded, recording_proxy
from tests.component.support.sql import Sql

AT_MOST: Final = 16_000  # bytes of a message; 16 KB pin
LITERAL: Final = re.compile(r"E?'(?:[^'\\]|''|\\.)*'|\$(\w*)\$.*?\$\1\$|--[^\n]*", re.DOTALL)
PINS: Final = re.compile(
    r"(?:^|;)\s*(?:set|reset|discard|prepare|execute|deallocate|declare|listen|load|create\s+temp\w*)\b"
    r"|\b(?:set_config|nextval|setval|lastval|currval|pg_(?:try_)?advisory_(?!xact_)\w*)\b",
    re.IGNORECASE,
)
# What RDS Proxy is known to accept. It refuses `options` and most settings.
STARTUP: Final = {"user", "database", "application_name", "client_encoding"}
SETTINGS: Final = ["statement_timeout", "lock_timeout", "transaction_read_only"]


def pins(statement: str) -> bool:
    return PINS.search(LITERAL.sub("''", statement)) is not None


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select 1; set local lock_timeout = 1", True),
        ("begin; SET CONSTRAINTS ALL IMMEDIATE", True),
        ("select set_config('a.b', '', true)", True),
        ("select pg_try_advisory_lock(1)", True),
        ("select pg_try_advisory_xact_lock(1)", False),
        ("update t set a = 'b; set c'", False),
        ("select cacheaside.set_local('a', 'b')", False),
    ],
)
def test_the_test_knows_what_pins(statement: str, expected: bool) -> None:
    assert pins(statement) is expected


@pytest.fixture
def recorded(postgres: PostgresServer) -> Iterator[tuple[Recorded, str]]:
    with recording_proxy(postgres.url) as (record, url):
        yield record, url


def test_no_statement_of_query_and_command_pins(
    start_api: Callable[..., Api], client: redis.Redis, recorded: tuple[Recorded, str], sql: Sql
) -> None:
    sql("truncate cacheaside.idempotency_keys")
    record, url = recorded
    api = start_api(url)
    for query in api.get("/queries").json["data"]:
        assert api.get(example_path(query)).status == 200
        assert api.get(f"/queries/{query['name']}/direct?{example_path(query).partition('?')[2]}").status == 200
    assert api.get("/openapi.json").status == api.get("/health").status == 200
    order = {"customer_id": 1, "product_ids": [1, 2], "quantities": [1, 1]}
    price = {"id": 1, "price": 2}
    for key in ({}, {"Idempotency_Key": "k"}, {"Idempotency_Key": "k"}):
        assert api.post("/commands/set_price", price, **key).status == 200
    assert api.post("/commands/set_price", {**price, "id": 2}, Idempotency_Key="k").status == 422
    assert api.post("/commands/place_order", order).status in (200, 422)
    unknown = "insert into orders (customer_id) values (0) returning id"
    assert declared_command(api, unknown, {"isolation": "serializable"})().status == 422
    with refusing_url() as cache_url:
        assert start_api(url, cache_url).get("/queries/product?id=1").status == 200
    text = "\n".join(record.statements)
    assert [each for each in record.statements if pins(each)] == []
    assert all(part in text for part in ("take_slot", "before_commit", "pg_index", "drained_at", "described"))
    assert max(map(len, record.statements)) < AT_MOST
    assert record.parameters <= STARTUP
    assert record.types <= {"Q", "X"}, "no message of the extended protocol"


def test_settings_end_with_the_message(database_settings: DatabaseSettings) -> None:
    queries = Queries(database_settings)
    show = "select " + ", ".join(f"current_setting('{name}') as {name}" for name in SETTINGS)
    loaded = queries.load(Load(question(show), 7_000, bypass=True))
    assert b'"statement_timeout":"7s","lock_timeout":"1s","transaction_read_only":"on"' in (loaded.body or b"")
    kept = queries._kept._connection
    assert kept is not None
    with kept.cursor() as cursor:
        cursor.execute(show)
        after = cursor.fetchone()
        with closing(psycopg2.connect(database_settings.url)) as fresh, fresh.cursor() as other:
            other.execute(show)
            assert after == other.fetchone()


def test_slow_load_and_load_that_waits_for_a_lock_end(
    database_settings: DatabaseSettings, postgres: PostgresServer
) -> None:
    queries = Queries(database_settings)
    with pytest.raises(StatementTimeout):
        queries.load(Load(question("select 1 as one from pg_sleep(60)"), 100, bypass=False))
    with closing(psycopg2.connect(postgres.url)) as holder, holder.cursor() as cursor:
        cursor.execute("lock table products in access exclusive mode")
        with pytest.raises(Busy):
            queries.load(Load(question("select id from products"), 60_000, bypass=False))
