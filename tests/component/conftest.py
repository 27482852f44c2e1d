"""Real servers for a whole session, and the real handlers called with real API Gateway events."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from uuid import uuid4

import psycopg2
import pytest
import redis
from redis.cluster import RedisCluster

from cacheaside.drivers.cache import deadline, exchange, options
from cacheaside.drivers.postgres import commands, connection, rendering
from cacheaside.settings import Authentication, CacheMode, CacheSettings, DatabaseSettings
from local.api.events import Request, to_event, to_response
from local.api.routing import Router
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.servers.valkey_cluster import ValkeyCluster
from local.template import read
from migrate import sample_data
from migrate.upgrade import upgrade
from tests.support.root import ROOT

PRODUCTS = 100


# The product's limits in time, by server, and how long a server may take that is slow and not away.
_PATIENT: Final[Mapping[str, Mapping[tuple[ModuleType, str], float]]] = {
    "cache": {
        (deadline, "CALL_S"): 20.0,
        (deadline, "_OPENING_S"): 20.0,
        (options, "CALL_S"): 20.0,
        (exchange, "_CONFIRM_MS"): 10_000,
    },
    "postgres": {
        (connection, "_CONNECT_S"): 30.0,
        (connection, "_PING_S"): 30.0,
        (rendering, "_GRACE_S"): 30.0,
        (commands, "_FOLLOW_UP_MS"): 30_000,
    },
}
_OWN: Final = {server: {limit: getattr(*limit) for limit in limits} for server, limits in _PATIENT.items()}


@pytest.fixture
def impatient() -> None:
    """For tests of the product's own limits in time: they are as short as in production."""


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others take a server for slow, not for away."""
    if "impatient" in request.fixturenames:
        return
    for limits in _PATIENT.values():
        for (module, name), patient in limits.items():
            monkeypatch.setattr(module, name, patient)


@contextmanager
def impatience(server: str) -> Iterator[None]:
    """Within this block the limits for one server, "cache" or "postgres", are as short as in production."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), own in _OWN[server].items():
            patch.setattr(module, name, own)
        yield


@pytest.fixture(scope="session")
def postgres(servers_folder: Path) -> Iterator[PostgresServer]:
    with PostgresServer(servers_folder / "postgres", durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection:
            upgrade(connection)
            sample_data.load(connection, PRODUCTS, lambda _done, _total: None)
        yield server


CacheServer = ValkeyServer | ValkeyCluster

# The driver's own tests run on each; all others on the one that CACHE_SERVER names, by default the first.
CACHE_SERVERS: dict[str, Callable[[Path], CacheServer]] = {
    "node-8": ValkeyServer,
    "node-9": lambda folder: ValkeyServer(folder, version=9),
    # A node that stops for a moment is not to be taken for lost by the others.
    "cluster-8": lambda folder: ValkeyCluster(folder, settings={"cluster-node-timeout": "30000"}),
}


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
def valkey(cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    return cache_servers(os.environ.get("CACHE_SERVER", "node-8"))


@pytest.fixture(scope="session", params=CACHE_SERVERS)
def cache_server(request: pytest.FixtureRequest, cache_servers: Callable[[str], CacheServer]) -> CacheServer:
    """One kind of cache after the other."""
    return cache_servers(request.param)


class WholeCluster(RedisCluster):
    """Asks every node what redis-py would ask only one."""

    def keys(self, pattern: Any = "*", **options: Any) -> Any:
        return super().keys(pattern, target_nodes=self.PRIMARIES, **options)

    def client_kill_filter(self, *arguments: Any, **options: Any) -> Any:
        return super().client_kill_filter(*arguments, target_nodes=self.PRIMARIES, **options)


def client_of(server: CacheServer) -> Any:
    """Somebody else's connection, who is patient."""
    return (WholeCluster if isinstance(server, ValkeyCluster) else redis.Redis).from_url(server.url)


def settings_of(server: CacheServer) -> CacheSettings:
    mode = CacheMode.CLUSTER if isinstance(server, ValkeyCluster) else CacheMode.NODE
    return CacheSettings(url=server.url, authentication=Authentication.URL, region="", name="", mode=mode)


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


@dataclass(frozen=True)
class Answer:
    """A response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache_status(self) -> str:
        return self.headers.get("cache-status", "")


class Api:
    """The functions behind the routes of template.yaml, in this process."""

    def __init__(self, environment: dict[str, dict[str, str]], patch: pytest.MonkeyPatch) -> None:
        template = read(ROOT / "template.yaml")
        self._router = Router(template.routes)
        self._handlers: dict[str, Any] = {}
        self.authorizer: dict[str, Any] | None = None  # what API Gateway found out about the caller
        for name in ("QueryFunction", "CommandFunction", "InvalidateFunction"):
            function = template.functions[name]
            for variable, value in {**function.environment, **environment[name]}.items():
                patch.setenv(variable, value)
            module, _, attribute = function.handler.rpartition(".")
            # Imported anew, because settings are read at import, as in a new sandbox.
            self._handlers[name] = getattr(importlib.reload(importlib.import_module(module)), attribute)

    def module(self, function: str) -> Any:
        """The module of a function's handler, with its drivers and its catalogue."""
        return sys.modules[self._handlers[function].__module__]

    def get(self, target: str, **headers: str) -> Answer:
        return self.call("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, target: str, body: object, media_type: str = "application/json", **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", target, data, {"content-type": media_type, **named})

    def call(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        match = self._router.match(method, target.partition("?")[0])
        assert match is not None
        event = to_event(Request(method, target, list((headers or {}).items()), body), match, 3000)
        if self.authorizer is not None:
            event["requestContext"]["authorizer"] = self.authorizer
        context = SimpleNamespace(
            aws_request_id=str(uuid4()),
            function_name=match.route.function,
            memory_limit_in_mb=128,
            invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:local",
            get_remaining_time_in_millis=lambda: 29_000,
        )
        response = to_response(self._handlers[match.route.function](event, context))
        return Answer(response.status, {name.lower(): value for name, value in response.headers}, response.body)


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
