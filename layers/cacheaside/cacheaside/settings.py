"""What the environment says, read once when the function starts."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from cacheaside.errors import SettingsError

__all__ = [
    "Authentication",
    "CacheMode",
    "CacheSettings",
    "DatabaseSettings",
    "InvalidateSettings",
    "InvalidationMode",
    "Settings",
]

_E = TypeVar("_E", bound=Enum)


class Authentication(Enum):
    """Where passwords come from."""

    IAM = "iam"  # a token, signed here when a connection is opened
    URL = "url"  # whatever the URL says, often none


class CacheMode(Enum):
    """What CACHE_URL leads to."""

    NODE = "node"  # one server, or the primary of a replication group
    CLUSTER = "cluster"  # any node, or the configuration endpoint, of a cluster
    SERVERLESS = "serverless"  # ElastiCache Serverless: to its clients a cluster, with IAM tokens of another kind


class InvalidationMode(Enum):
    """When the invalidate function takes out what others than commands have changed."""

    SCHEDULE = "schedule"  # each minute
    LISTEN = "listen"  # at once: it runs all the time, and PostgreSQL tells it


class _FromEnvironment(ABC):
    __slots__ = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is missing or bad."""
        variables = _Variables(environment)
        settings = cls._read(variables)
        variables.complain()
        return settings

    @classmethod
    @abstractmethod
    def _read(cls, variables: _Variables) -> Self: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings(_FromEnvironment):
    """How to reach PostgreSQL: DATABASE_URL, AUTHENTICATION, AWS_REGION.

    DATABASE_USER and DATABASE_HOST, if set, take the place of those in the URL.
    """

    url: str
    authentication: Authentication
    region: str

    @classmethod
    def _read(cls, variables: _Variables, user: str = "DATABASE_USER") -> Self:
        authentication = variables.choice("AUTHENTICATION", Authentication)
        url = variables.url("DATABASE_URL", "postgresql", "postgres")
        return cls(
            url=_replaced(url, variables.text(user, needed=False), variables.text("DATABASE_HOST", needed=False)),
            authentication=authentication,
            region=variables.text("AWS_REGION", needed=authentication is Authentication.IAM),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How to reach the cache: CACHE_URL, CACHE_MODE, AUTHENTICATION, AWS_REGION, CACHE_NAME (its own name, for IAM).

    CACHE_USER, if set, takes the place of the user in the URL. CACHE_REPLICAS, 0 if not set: how many replicas of each
    primary must confirm that answers are taken out.
    """

    url: str
    authentication: Authentication
    region: str
    name: str
    mode: CacheMode = CacheMode.NODE
    replicas: int = 0

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        authentication = variables.choice("AUTHENTICATION", Authentication)
        iam = authentication is Authentication.IAM
        return cls(
            url=_replaced(variables.url("CACHE_URL", "rediss", "redis"), variables.text("CACHE_USER", needed=False)),
            authentication=authentication,
            region=variables.text("AWS_REGION", needed=iam),
            name=variables.text("CACHE_NAME", needed=iam),
            mode=variables.choice("CACHE_MODE", CacheMode, default=CacheMode.NODE),
            replicas=variables.count("CACHE_REPLICAS"),
        )


@dataclass(frozen=True, slots=True)
class Settings(_FromEnvironment):
    """The whole of the environment contract."""

    database: DatabaseSettings
    cache: CacheSettings

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(DatabaseSettings._read(variables), CacheSettings._read(variables))


@dataclass(frozen=True, slots=True)
class InvalidateSettings(_FromEnvironment):
    """The environment of the invalidate function, which has two more variables.

    READ_DATABASE_USER: who the query function is in the database, to check answers. INVALIDATION: schedule or listen.
    """

    database: DatabaseSettings
    queries: DatabaseSettings
    cache: CacheSettings
    mode: InvalidationMode

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(
            database=DatabaseSettings._read(variables),
            queries=DatabaseSettings._read(variables, "READ_DATABASE_USER"),
            cache=CacheSettings._read(variables),
            mode=variables.choice("INVALIDATION", InvalidationMode),
        )


class _Variables:
    """Reads variables and remembers what was wrong, so that all of it can be said at once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: dict[str, str] = {}

    def text(self, name: str, *, needed: bool) -> str:
        value = self._environment.get(name, "")
        if needed and not value:
            self._problems[name] = "is missing"
        return value

    def url(self, name: str, *schemes: str) -> str:
        value = self.text(name, needed=True)
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if value and not good:
            # The value may hold a password, so it is not repeated.
            self._problems[name] = f"is not a URL such as {schemes[0]}://user@host:port"
        return value

    def count(self, name: str) -> int:
        value = self.text(name, needed=False)
        if value and not re.fullmatch(r"[0-9]{1,2}", value):
            self._problems[name] = f"must be a small number, not {value!r}"
            return 0
        return int(value or 0)

    def choice(self, name: str, choices: type[_E], default: _E | None = None) -> _E:
        value = self.text(name, needed=default is None)
        with suppress(ValueError):
            return choices(value)
        if value:
            self._problems[name] = f"must be {' or '.join(choice.value for choice in choices)}, not {value!r}"
        return default or next(iter(choices))  # by now there is a problem to complain of, or the default is meant

    def complain(self) -> None:
        if self._problems:
            lines = [f"{name} {problem}" for name, problem in self._problems.items()]
            raise SettingsError("\n".join(["the environment is not complete:", *lines]))


def _replaced(url: str, user: str, host: str = "") -> str:
    """Return the URL with another user (who has no password) or host, where they are not empty."""
    if not user and not host:
        return url
    parts = urlsplit(url)
    credentials, at, address = parts.netloc.rpartition("@")
    if user:
        credentials, at = quote(user, safe=""), "@"
    if host:
        address = host if parts.port is None else f"{host}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{address}"))
