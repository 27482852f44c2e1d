"""The options of every connection to the cache: address, TLS, and sign-in."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis  # noqa: F401  # if it is missing, say so now: redis-py would only fail to connect
import redis
from redis._parsers import _HiredisParser
from redis.credentials import CredentialProvider

from cacheaside.drivers.cache.deadline import CALL_S, BoundedConnection, BoundedSSLConnection, tls
from cacheaside.drivers.iam import cache_token, lambda_credentials
from cacheaside.settings import Authentication, CacheMode, CacheSettings

__all__ = ["Connections", "address", "connection_options"]

_log = logging.getLogger(__name__)


class Connections(redis.ConnectionPool):
    """The connections to one server, for threads of one process.

    redis-py's own pool also counts for telemetry, sends events for a client-side cache, and prepares for forks. That
    takes CPU in each call, and nothing here uses it.
    """

    def get_connection(self, *_: object, **__: object) -> BoundedConnection:
        try:
            connection: BoundedConnection = self._available_connections.pop()
        except IndexError:
            connection = self.make_connection()  # type: ignore[assignment]  # of `connection_options`
        self._in_use_connections.add(connection)
        try:
            connection.connect()
            if connection.kept and not connection.is_quiet():
                connection.disconnect()  # type: ignore[no-untyped-call]
                connection.connect()
        except BaseException as error:
            # Callers get an answer without the cache, so no other line says why: a certificate, a user, a route.
            _log.warning("no connection to the cache can be opened: %s", error)
            self.release(connection)
            raise
        return connection

    def release(self, connection: BoundedConnection) -> None:  # type: ignore[override]  # of any kind
        self._in_use_connections.discard(connection)
        self._available_connections.append(connection)


def address(settings: CacheSettings) -> tuple[str, int]:
    """Return host and port."""
    url = urlsplit(settings.url)
    return url.hostname or "", url.port or 6379


def connection_options(settings: CacheSettings) -> dict[str, Any]:
    """Return the arguments of every connection, but its host, port and retries."""
    url = urlsplit(settings.url)
    iam = settings.authentication is Authentication.IAM
    encrypted = url.scheme == "rediss"
    if encrypted:
        tls()  # now, while Lambda starts the function, so that no request waits for it
    return {
        "connection_class": BoundedSSLConnection if encrypted else BoundedConnection,
        # The deadline is in the one method with which this parser reads. Without hiredis, redis-py would take another.
        "parser_class": _HiredisParser,
        "username": None if iam else _decoded(url.username),
        "password": None if iam else _decoded(url.password),
        "credential_provider": _IamCredentials(settings, _decoded(url.username) or "") if iam else None,
        "socket_timeout": CALL_S,
        # RESP 2 and no client name: opening a connection takes no round trip but AUTH.
        "protocol": 2,
        "driver_info": None,
    }


def _decoded(part: str | None) -> str | None:
    return unquote(part) if part else None


class _IamCredentials(CredentialProvider):
    """Signs a new token for each connection that is opened."""

    def __init__(self, settings: CacheSettings, user: str) -> None:
        self._settings = settings
        self._user = user

    def get_credentials(self) -> tuple[str, str]:
        region, name = self._settings.region, self._settings.name
        serverless = self._settings.mode is CacheMode.SERVERLESS
        return self._user, cache_token(lambda_credentials(), region, name, self._user, serverless=serverless)
