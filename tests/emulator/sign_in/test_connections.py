"""Connections that the servers end, after 12 hours or at any other moment, while a sandbox lives on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.component.support.api import Api
from tests.emulator.sign_in.conftest import Servers
from tests.emulator.sign_in.containers import ADMINISTRATOR, Container, running_cache
from tests.emulator.sign_in.deployed import credentials
from tests.support.ports import unclaimed_port
from tests.support.wait_until import wait_until

PRODUCT: Final = "/queries/product?id=42"
PRICE: Final = {"id": 42, "price": 9.99}
# The option with which each kind of cluster is told its port on this machine. See servers/cache.py.
ANNOUNCE: Final = {"cluster": "--cluster-announce-port", "serverless": "--cluster-announce-tls-port"}


def check_written(api: Api) -> None:
    answer = api.post("/commands/set_price", PRICE)
    assert (answer.status, answer.json["invalidation"]) == (200, "done")


def end_database_connections(servers: Servers) -> None:
    statement = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'"
    statement += " and pid <> pg_backend_pid()"
    servers.database.run("psql", "-h", "/tmp", "-U", "rdsadmin", "-d", "postgres", "-c", statement)  # noqa: S108


@pytest.fixture
def other_cache(servers: Servers, new_folder: Callable[[str], Path]) -> Iterator[Callable[..., Container]]:
    """Starts another cache, with options of `running_cache`."""
    with ExitStack() as exits:

        def start(*options: str, **others: Any) -> Container:
            given = (new_folder("cache"), servers.authority, servers.principals, *options)
            return exits.enter_context(running_cache(*given, **others))

        yield start


def test_a_cache_that_ends_connections_by_time_costs_no_answer(start_api: Any, other_cache: Any) -> None:
    short_lived = other_cache(CONNECTION_S="3")  # on ElastiCache 12 hours
    api = start_api(CACHE_URL=f"rediss://localhost:{short_lived.port}")
    check_written(api)
    assert "stored" in api.get(PRODUCT).cache
    wait_until(lambda: "user=shop-" not in short_lived.run(*ADMINISTRATOR, "CLIENT", "LIST"))
    assert "hit" in api.get(PRODUCT).cache
    check_written(api)
    assert "stored" in api.get(PRODUCT).cache


def test_a_database_that_ends_connections_costs_no_answer(start_api: Any, servers: Servers) -> None:
    api = start_api()
    check_written(api)
    api.get(PRODUCT)
    end_database_connections(servers)
    check_written(api)  # a lost connection is found before the command has begun
    end_database_connections(servers)
    answer = api.get(PRODUCT)
    assert (answer.status, "stored" in answer.cache) == (200, True)


def test_a_new_connection_signs_with_the_credentials_of_that_moment(
    start_api: Any, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda replaces those of a sandbox that starts from a snapshot, and they are valid for hours only."""
    api = start_api(**credentials("QueryFunction"))
    assert "stored" in api.get(PRODUCT).cache
    for name, value in credentials("MigrateFunction").items():
        monkeypatch.setenv(name, value)
    assert "hit" in api.get(PRODUCT).cache  # the connection goes on
    servers.cache.run(*ADMINISTRATOR, "CLIENT", "KILL", "USER", "shop-query")
    end_database_connections(servers)
    assert api.get(PRODUCT).status == 503  # this role may sign in to neither
    for name, value in credentials("Everything").items():
        monkeypatch.setenv(name, value)
    wait_until(lambda: "hit" in api.get(PRODUCT).cache_status)  # after the pause of the breaker


@pytest.mark.parametrize(("mode", "announce"), ANNOUNCE.items())
def test_a_cluster_checks_tokens_too(mode: str, announce: str, start_api: Any, other_cache: Any) -> None:
    port = str(unclaimed_port())
    # redis-py makes the address 127.0.0.1 of the name localhost, and of no other name.
    options = ("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", announce, port)
    cluster = other_cache(*options, names=["127.0.0.1"], published=port)
    cluster.run(*ADMINISTRATOR, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    wait_until(lambda: "cluster_state:ok" in cluster.run(*ADMINISTRATOR, "CLUSTER", "INFO"))
    api = start_api(mode, CACHE_URL=f"rediss://localhost:{port}")
    assert "stored" in api.get(PRODUCT).cache
    assert "hit" in api.get(PRODUCT).cache
    check_written(api)
    assert "hit" not in api.get(PRODUCT).cache
