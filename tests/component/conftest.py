"""Real servers for a whole session, and the real handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest
import redis

from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from migrate import sample_data
from migrate.upgrade import upgrade
from tests.component.support.api import Api
from tests.component.support.cache_servers import CACHE_SERVERS, CacheServer, client_of, settings_of
from tests.component.support.patience import make_patient

PRODUCTS: Final = 100


@pytest.fixture
def impatient() -> None:
    """For tests of the product's own limits in time: they are as short as in production."""


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others take a server for slow, not for away."""
    if "impatient" not in request.fixturenames:
        make_patient(monkeypatch)


@pytest.fixture(scope="session")
def postgres(servers_folder: Path) -> Iterator[PostgresServer]:
    with PostgresServer(servers_folder / "postgres", durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection:
            upgrade(connection)
            sample_data.load(connection, PRODUCTS, lambda _done, _total: None)
        yield server


@pytest.fixture(scope="session")
def cache_servers(servers_folder: Path) -> Iterator[Callable[[str], CacheServer]]:
    """Starts a kind of cache when it is first asked for."""
    with ExitStack() as exits:
        started: dict[str, CacheServer] = {}

        def start(kind: str) -> CacheServer:
            if kind not in started:
                started[kind] = exits.enter_context(CACHE_SERVERS[kind](servers_folder / kind))
            return started[kind]

        yield start


@pytest.fixture(scope="session")
def valkey(request: pytest.FixtureRequest, cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    """The first kind of cache. Modules that must hold on each are parametrized with `valkey`."""
    return cache_servers(getattr(request, "param", "node-8"))


@pytest.fixture(scope="session", params=CACHE_SERVERS)
def cache_server(request: pytest.FixtureRequest, cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    """One kind of cache after the other."""
    return cache_servers(request.param)


@pytest.fixture
def client(valkey: CacheServer) -> Iterator[redis.Redis]:
    """The cache, empty, from the side."""
    with client_of(valkey) as client:
        client.flushall()
        yield client


@pytest.fixture
def side(cache_server: CacheServer) -> Iterator[Any]:
    """The same, of each kind of cache after the other."""
    with client_of(cache_server) as client:
        client.flushall()
        yield client


@pytest.fixture
def sql(postgres: PostgresServer) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """The database, from the side, as its owner."""
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
def outbox_settings(postgres: PostgresServer, sql: Callable[..., Any]) -> DatabaseSettings:
    """The database as the invalidate function sees it; nothing is pending, nobody listens, no cache is known."""
    sql("truncate cacheaside.outbox, cacheaside.idempotency_keys")
    sql("update cacheaside.cache set replication_ids = ''")
    sql("update cacheaside.listener set listening_until = '-infinity'")
    url = postgres.url_for("cacheaside_invalidate")
    return DatabaseSettings(url=url, authentication=Authentication.URL, region="")


@pytest.fixture
def start_api(
    postgres: PostgresServer, valkey: CacheServer, cache_settings: CacheSettings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Api]:
    """Makes an API of new sandboxes, by default on both servers."""

    def start(database_url: str = postgres.url, cache_url: str = valkey.url) -> Api:
        environment = function_environment(database_url, cache_url, embedded=True)
        for variables in environment.values():
            variables["CACHE_MODE"] = cache_settings.mode.value
        return Api(environment, monkeypatch)

    return start


@pytest.fixture
def api(start_api: Callable[..., Api], client: redis.Redis) -> Api:
    """An API of new sandboxes on both servers, with an empty cache."""
    return start_api()
