"""The settings in the environment variables, read once when a function starts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from cacheaside.errors import SettingsError

__all__ = [
    "ApiSettings",
    "Authentication",
    "Authorization",
    "CacheMode",
    "CacheSettings",
    "Callers",
    "DatabaseSettings",
    "InvalidateSettings",
    "InvalidationMode",
    "Settings",
    "Switch",
    "Tracing",
]

_E = TypeVar("_E", bound=Enum)
_T = TypeVar("_T")


class Authentication(Enum):
    """The source of passwords."""

    IAM = "iam"  # a token, signed by the drivers when they open a connection
    URL = "url"  # the URL, which may hold none


class Authorization(Enum):
    """Who may send requests to a route."""

    OPEN = "open"  # everyone
    IAM = "iam"  # who signs requests with AWS Signature Version 4
    JWT = "jwt"  # who sends a bearer token


class Switch(Enum):
    """A setting that is on or off."""

    ON = "on"
    OFF = "off"


class Tracing(Enum):
    """The service that gets a trace of each sampled invocation."""

    OFF = "off"
    XRAY = "xray"  # AWS X-Ray, with a subsegment for each call to the database and the cache


class CacheMode(Enum):
    """The kind of server at CACHE_URL."""

    NODE = "node"  # one server, or the primary of a replication group
    CLUSTER = "cluster"  # any node, or the configuration endpoint, of a cluster
    SERVERLESS = "serverless"  # ElastiCache Serverless: a cluster for its clients, with another kind of IAM tokens


class InvalidationMode(Enum):
    """When the invalidate function drains the changes of writers other than commands."""

    SCHEDULE = "schedule"  # each minute
    POLL = "poll"  # at once: it runs continuously, and looks for changes many times a second

    @classmethod
    def _missing_(cls, value: object) -> InvalidationMode | None:
        """`listen` is the former name of `poll`, which deployed stacks may still set."""
        return cls.POLL if value == "listen" else None


class DatabaseSettings(NamedTuple):
    """How to reach PostgreSQL: DATABASE_URL, AUTHENTICATION, AWS_REGION.

    DATABASE_USER and DATABASE_HOST, if set, replace the user and the host in the URL.
    """

    url: str
    authentication: Authentication
    region: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is missing or bad."""
        return _read_all(cls._read, environment)

    @classmethod
    def _read(cls, variables: _Variables, user: str = "DATABASE_USER", url_of: str = "DATABASE_URL") -> Self:
        authentication = variables.choice("AUTHENTICATION", Authentication)
        url = variables.url(url_of if variables.text(url_of) else "DATABASE_URL", "postgresql", "postgres")
        return cls(
            url=_with_user_and_host(url, variables.text(user), variables.text("DATABASE_HOST")),
            authentication=authentication,
            region=variables.text("AWS_REGION", required=authentication is Authentication.IAM),
        )


class CacheSettings(NamedTuple):
    """How to reach the cache: CACHE_URL, CACHE_MODE, AUTHENTICATION, AWS_REGION, CACHE_NAME (its AWS name, for IAM).

    CACHE_USER, if set, replaces the user in the URL. CACHE_REPLICAS is the number of replicas of each primary that must
    confirm an invalidation, 0 if not set.
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
            url=_with_user_and_host(variables.url("CACHE_URL", "rediss", "redis"), variables.text("CACHE_USER")),
            authentication=authentication,
            region=variables.text("AWS_REGION", required=iam),
            name=variables.text("CACHE_NAME", required=iam),
            mode=variables.choice("CACHE_MODE", CacheMode, default=CacheMode.NODE),
            replicas=variables.count("CACHE_REPLICAS"),
        )


class Settings(NamedTuple):
    """The settings of a function that uses the database and the cache. TRACING is off or xray."""

    database: DatabaseSettings
    cache: CacheSettings
    tracing: Tracing = Tracing.OFF

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is missing or bad."""
        return _read_all(cls._read, environment)

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(
            database=DatabaseSettings._read(variables),
            cache=CacheSettings._read(variables),
            tracing=variables.choice("TRACING", Tracing, default=Tracing.OFF),
        )


class ApiSettings(NamedTuple):
    """What the documents of the API say about it.

    READ_AUTHORIZATION, WRITE_AUTHORIZATION, HEALTH_AUTHORIZATION, DEVELOPER_MODE, AWS_REGION.
    API Gateway authorizes the requests, so the functions only describe it. On one machine everything is open.
    DEVELOPER_MODE is on or off. With it, callers can ask PostgreSQL without the cache, and the documents show the SQL.
    """

    reads: Authorization = Authorization.OPEN
    writes: Authorization = Authorization.OPEN
    developer_mode: bool = False
    region: str = ""
    health: Authorization = Authorization.OPEN

    @property
    def pages(self) -> Authorization:
        """Who may open the pages. A browser sends no credentials for that, so in developer mode they are open."""
        return Authorization.OPEN if self.developer_mode else self.reads

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is missing or bad."""
        return _read_all(cls._read, environment)

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(
            reads=variables.choice("READ_AUTHORIZATION", Authorization, default=Authorization.OPEN),
            writes=variables.choice("WRITE_AUTHORIZATION", Authorization, default=Authorization.OPEN),
            developer_mode=variables.choice("DEVELOPER_MODE", Switch, default=Switch.OFF) is Switch.ON,
            region=variables.text("AWS_REGION"),
            health=variables.choice("HEALTH_AUTHORIZATION", Authorization, default=Authorization.OPEN),
        )


class Callers(NamedTuple):
    """Who may read and who may write: READ_AUTHORIZATION, WRITE_AUTHORIZATION. None: it is not known."""

    reads: Authorization | None = None
    writes: Authorization | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is bad."""
        return _read_all(cls._read, environment)

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(
            *(
                variables.choice(name, Authorization) if variables.text(name) else None
                for name in ("READ_AUTHORIZATION", "WRITE_AUTHORIZATION")
            )
        )


class InvalidateSettings(NamedTuple):
    """The settings of the invalidate function, from more variables than `Settings`.

    READ_DATABASE_USER is the database user of the query function, for the verifier. READ_DATABASE_URL, if set, replaces
    DATABASE_URL for the verifier. INVALIDATION: schedule or poll.
    """

    database: DatabaseSettings
    queries: DatabaseSettings
    cache: CacheSettings
    mode: InvalidationMode
    tracing: Tracing = Tracing.OFF

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises SettingsError, with a line for every variable that is missing or bad."""
        return _read_all(cls._read, environment)

    @classmethod
    def _read(cls, variables: _Variables) -> Self:
        return cls(
            database=DatabaseSettings._read(variables),
            queries=DatabaseSettings._read(variables, "READ_DATABASE_USER", "READ_DATABASE_URL"),
            cache=CacheSettings._read(variables),
            mode=variables.choice("INVALIDATION", InvalidationMode),
            tracing=variables.choice("TRACING", Tracing, default=Tracing.OFF),
        )


class _Variables:
    """Reads variables and collects the problems, so that one error reports all of them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: dict[str, str] = {}

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._environment.get(name, "")
        if required and not value:
            self._problems[name] = "is missing"
        return value

    def url(self, name: str, *schemes: str) -> str:
        value = self.text(name, required=True)
        try:
            parts = urlsplit(value)
            valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if value and not valid:
            # The message does not repeat the value, which may hold a password.
            self._problems[name] = f"is not a URL such as {schemes[0]}://user@host:port"
        return value

    def count(self, name: str) -> int:
        value = self.text(name)
        if value and not re.fullmatch(r"[0-9]{1,2}", value):
            self._problems[name] = f"must be a small number, not {value!r}"
            return 0
        return int(value or 0)

    def choice(self, name: str, choices: type[_E], default: _E | None = None) -> _E:
        value = self.text(name, required=default is None)
        with suppress(ValueError):
            return choices(value)
        if value:
            self._problems[name] = f"must be {' or '.join(choice.value for choice in choices)}, not {value!r}"
        return default or next(iter(choices))  # without a default a problem is recorded, so nothing uses this value

    def raise_problems(self) -> None:
        if self._problems:
            lines = [f"{name} {problem}" for name, problem in self._problems.items()]
            raise SettingsError("\n".join(["the environment is not complete:", *lines]))


def _read_all(read: Callable[[_Variables], _T], environment: Mapping[str, str]) -> _T:
    variables = _Variables(environment)
    settings = read(variables)
    variables.raise_problems()
    return settings


def _with_user_and_host(url: str, user: str, host: str = "") -> str:
    """Return the URL with another user, without a password, or another host, where they are not empty."""
    if not user and not host:
        return url
    parts = urlsplit(url)
    credentials, at, address = parts.netloc.rpartition("@")
    if user:
        credentials, at = quote(user, safe=""), "@"
    if host:
        address = host if parts.port is None else f"{host}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{address}"))
