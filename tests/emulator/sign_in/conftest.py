"""Servers that accept TLS and IAM tokens only, as RDS and ElastiCache do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cacheaside.drivers.cache import deadline
from cacheaside.drivers.postgres.connection import open_connection
from cacheaside.settings import DatabaseSettings
from local.containers import engine
from migrate import sample_data
from migrate.token_sign_in import allow_tokens
from migrate.upgrade import FUNCTIONS as CODE
from migrate.upgrade import upgrade
from tests.component.support.api import Api
from tests.component.support.timeouts import lengthen_timeouts
from tests.emulator.sign_in.containers import ADMINISTRATOR, IMAGE, Container, running_cache, running_database
from tests.emulator.sign_in.deployed import credentials, environment, write_principals
from tests.support.authority import Authority
from tests.support.missing_tool import skip_without_tool


@dataclass(frozen=True)
class Servers:
    """A database and a cache, and the authority of their certificates."""

    database: Container
    cache: Container
    authority: Authority
    principals: Path

    def environment(self, host: str = "localhost", mode: str = "node") -> dict[str, dict[str, str]]:
        """Return the variables of the functions in this process. The certificates are for localhost."""
        database, cache = f"{host}:{self.database.port}", f"{host}:{self.cache.port}"
        return environment(database, cache, str(self.authority.bundle), mode)


@pytest.fixture(scope="session")
def start_servers(docker_engine: None, new_folder: Callable[[str], Path]) -> Callable[[ExitStack], Servers]:
    """Starts a pair of servers, which end with the stack."""
    try:
        engine.require_servers(IMAGE)
    except engine.EngineMissing as missing:
        skip_without_tool("in containers", str(missing))

    def start(exits: ExitStack) -> Servers:
        authority = Authority(new_folder("authority"))
        principals = write_principals(new_folder("principals") / "iam.json")
        database = running_database(new_folder("database"), authority, principals)
        cache = running_cache(new_folder("cache"), authority, principals)
        return Servers(exits.enter_context(database), exits.enter_context(cache), authority, principals)

    return start


@pytest.fixture(scope="session")
def servers(start_servers: Callable[[ExitStack], Servers]) -> Iterator[Servers]:
    """Both servers, with schema and sample data: the owner signed in with a token too."""
    with ExitStack() as exits:
        servers = start_servers(exits)
        with pytest.MonkeyPatch.context() as patch:
            lengthen_timeouts(patch)  # to check a token, the server starts a program
            for name, value in (servers.environment()["MigrateFunction"] | credentials("MigrateFunction")).items():
                patch.setenv(name, value)
            with closing(open_connection(DatabaseSettings.from_environment())) as connection:
                upgrade(connection)
                allow_tokens(connection)
                sample_data.load(connection, CODE / "catalogue", 100, lambda _done, _total: None)
        yield servers


@pytest.fixture(autouse=True)
def long_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here is about timeouts, and a slow server is not one that refuses."""
    lengthen_timeouts(monkeypatch)


@pytest.fixture
def start_api(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Api]]:
    """Starts the functions in this process, with variables other than the usual ones, and an empty cache."""

    def start(mode: str = "node", host: str = "localhost", **changed: str) -> Api:
        servers.cache.run(*ADMINISTRATOR, "FLUSHALL")
        variables = servers.environment(host, mode)
        for values in variables.values():
            values.update(credentials("Everything"))
            values.update(changed)
        api = Api(variables, monkeypatch)
        deadline.tls.cache_clear()  # another SSL_CERT_FILE
        return api

    yield start
    deadline.tls.cache_clear()
