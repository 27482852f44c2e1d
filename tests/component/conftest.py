"""Real servers for the whole session, and the real handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest
import redis

from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from migrate import sample_data
from migrate.upgrade import FUNCTIONS, upgrade
from tests.component.support.api import Api
from tests.component.support.cache_servers import CACHE_SERVERS, CacheServer, client_of, settings_of
from tests.component.support.sql import Sql
from tests.component.support.timeouts import lengthen_timeouts

PRODUCTS: Final = 100
# Of sandboxes that the garbage collector has not found yet. PostgreSQL has 200 slots.
LEFT_AT_MOST: Final = 40

# So that their failed assertions show values, as those of a test do.
pytest.register_assert_rewrite(
    "tests.component.support.faulty_sandbox",
    "tests.component.support.read_path_machine",
    "tests.support.problem_document",
)


@pytest.fixture
def production_timeouts() -> None:
    """Keep the timeouts of production, in tests of these timeouts."""


@pytest.fixture(autouse=True)
def long_timeouts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the timeouts in all other tests: a slow server is not an unavailable one."""
    if "production_timeouts" not in request.fixturenames:
        lengthen_timeouts(monkeypatch)


@pytest.fixture(scope="session")
def postgres(new_folder: Callable[[str], Path]) -> Iterator[PostgresServer]:
    settings = {"max_prepared_transactions": "10"}
    with PostgresServer(new_folder("postgres"), settings=settings, durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection:
            upgrade(connection)
            sample_data.load(connection, FUNCTIONS / "catalogue", PRODUCTS, lambda _done, _total: None)
        yield server
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")
            [(left,)] = cursor.fetchall()
        assert left <= LEFT_AT_MOST, f"tests left {left} connections open, and the next ones may find no slot"


@pytest.fixture(scope="session")
def cache_servers(new_folder: Callable[[str], Path]) -> Iterator[Callable[[str], CacheServer]]:
    """Starts each kind of cache when a test first needs it."""
    with ExitStack() as exits:
        started: dict[str, CacheServer] = {}

        def start(kind: str) -> CacheServer:
            if kind not in started:
                started[kind] = exits.enter_context(CACHE_SERVERS[kind](new_folder(kind)))
            return started[kind]

        yield start


@pytest.fixture(scope="session")
def valkey(request: pytest.FixtureRequest, cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    """One node of Valkey 8. A module that must hold on each kind of cache is parametrized with `valkey`."""
    return cache_servers(getattr(request, "param", "node-8"))


@pytest.fixture(scope="session", params=CACHE_SERVERS)
def cache_server(request: pytest.FixtureRequest, cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    """Each kind of cache in turn."""
    return cache_servers(request.param)


@pytest.fixture
def client(valkey: CacheServer) -> Iterator[redis.Redis]:
    """A plain client of the emptied `valkey`, without the product's driver."""
    with client_of(valkey) as client:
        client.flushall()
        yield client


@pytest.fixture
def plain_client(cache_server: CacheServer) -> Iterator[Any]:
    """A plain client of the emptied `cache_server`."""
    with client_of(cache_server) as client:
        client.flushall()
        yield client


@pytest.fixture
def sql(postgres: PostgresServer) -> Iterator[Sql]:
    """Runs SQL as the owner of the database: each statement in a transaction of its own."""
    with closing(psycopg2.connect(postgres.url)) as connection:
        connection.autocommit = True

        def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall()) if cursor.description else []

        yield run


@pytest.fixture
def cache_settings(valkey: CacheServer) -> CacheSettings:
    return settings_of(valkey)


@pytest.fixture
def database_settings(postgres: PostgresServer) -> DatabaseSettings:
    url = postgres.url_for("cacheaside_query")
    return DatabaseSettings(url=url, authentication=Authentication.URL, region="")


@pytest.fixture
def outbox_settings(postgres: PostgresServer, sql: Sql) -> DatabaseSettings:
    """The database as the invalidate function sees it: nothing is pending, and no cache is known."""
    sql("truncate cacheaside.outbox, cacheaside.idempotency_keys")
    sql("update cacheaside.cache set replication_ids = ''")
    url = postgres.url_for("cacheaside_invalidate")
    return DatabaseSettings(url=url, authentication=Authentication.URL, region="")


@pytest.fixture
def outbox(outbox_settings: DatabaseSettings) -> Outbox:
    return Outbox(outbox_settings)


@pytest.fixture
def start_api(
    postgres: PostgresServer, valkey: CacheServer, cache_settings: CacheSettings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Api]:
    """Starts an API with new sandboxes, by default on both servers."""

    def start(database_url: str = postgres.url, cache_url: str = valkey.url) -> Api:
        environment = function_environment(database_url, cache_url, embedded=True)
        for variables in environment.values():
            variables["CACHE_MODE"] = cache_settings.mode.value
        return Api(environment, monkeypatch)

    return start


@pytest.fixture
def api(start_api: Callable[..., Api], client: redis.Redis) -> Api:
    """An API with new sandboxes on both servers, with an empty cache."""
    return start_api()
