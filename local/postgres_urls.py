"""The URL of a PostgreSQL database, in the one form that all parts of this project read."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import parse_dsn

from local.errors import LocalError

__all__ = ["canonical_url", "place_of", "with_options", "without_credentials"]

_SCHEME: Final = re.compile(r"postgres(?:ql)?://")
_NOT_LIKE: Final = "the URL of the database is not like postgresql://user:password@host:5432/name"
_ENCODED: Final = f"{_NOT_LIKE}; a password in it is percent-encoded: # is %23, / is %2F, @ is %40, % is %25"
# Parameters of Prisma that say nothing about the database, and no client but Prisma knows.
_DROPPED: Final = re.compile(
    r"(connection_limit|pool_timeout|socket_timeout|statement_cache_size|pgbouncer)=[^&]*|schema=(public)?"
)


def canonical_url(url: str) -> str:
    """Return `url` with one host before its path, and percent-encoded. Several hosts, or a socket, are parameters.

    Raises `LocalError`, with a text that has nothing of the URL but names of parameters.
    """
    return _written(_parsed(url))


def with_options(url: str, options: str) -> str:
    """Return `url` with more libpq options. Those that it has come first. Raises `LocalError`."""
    if not options:
        return url
    parameters = _parsed(url)
    return _written(parameters | {"options": f"{parameters.get('options', '')} {options}".strip()})


def without_credentials(url: str) -> str:
    """Return the host, the port and the database of `url`, for the terminal. Raises `LocalError`."""
    host, port, name = place_of(url)
    return f"{host}:{port}/{name}"


def place_of(url: str) -> tuple[str, str, str]:
    """Return the host, the port and the database: two URLs with the same ones lead to the same rows.

    Raises `LocalError`.
    """
    parameters = _parsed(url)
    user = parameters.get("user", "")
    return parameters["host"], parameters.get("port", "5432"), parameters.get("dbname", user)


def _parsed(url: str) -> dict[str, str]:
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise LocalError(_NOT_LIKE)
    credentials, at, location = url[scheme.end() :].rpartition("@")
    # libpq would take a part of the password for the host, and print it.
    if "@" in credentials or "/" in credentials:
        raise LocalError(_ENCODED)
    place, _, query = location.partition("?")
    head = f"postgresql://{credentials}{at}{place}"
    if not re.fullmatch(r"[0-9,]*", _parsed_by_libpq(head).get("port", "")):
        raise LocalError(_ENCODED)
    query = "&".join(each for each in query.split("&") if each and not _DROPPED.fullmatch(each))
    if unknown := [name for each in query.split("&") if each and not _is_known(name := each.partition("=")[0])]:
        names = ", ".join(filter(re.compile(r"\w+").fullmatch, unknown)) or "what libpq does not know"
        raise LocalError(f"the URL of the database: leave out the parameter {names}, which PostgreSQL does not know")
    parameters = _parsed_by_libpq(f"{head}?{query}")
    if "service" in parameters:
        raise LocalError("the URL of the database: write its host, user and name in place of service=")
    if "host" not in parameters and "hostaddr" not in parameters:
        raise LocalError(f"{_NOT_LIKE}, or for a socket like postgresql:///name?host=/run/postgresql")
    return {"host": parameters.get("hostaddr", "")} | parameters


def _parsed_by_libpq(url: str) -> dict[str, str]:
    try:
        return {name: value for name, value in parse_dsn(url).items() if value}
    except (psycopg2.Error, UnicodeError, ValueError):
        raise LocalError(_ENCODED) from None


def _is_known(name: str) -> bool:
    try:
        parse_dsn(f"postgresql://?{name}=1")
    except psycopg2.Error:
        # `ssl=true`, as JDBC has it, is known with that value only.
        return name == "ssl"
    return True


def _written(parameters: dict[str, str]) -> str:
    rest = dict(parameters)
    host, port = rest.pop("host"), rest.pop("port", "")
    user, password, name = (rest.pop(key, "") for key in ("user", "password", "dbname"))
    if "," in host or "/" in host:
        rest = {"host": host, **({"port": port} if port else {}), **rest}
        host, port = ("localhost" if "/" in host else host.partition(",")[0]), port.partition(",")[0]
    credentials = _quoted(user) + (f":{_quoted(password)}" if password else "")
    # libpq decodes %20 and not +.
    query = "&".join(f"{key}={_quoted(value)}" for key, value in rest.items())
    return "".join(
        [
            "postgresql://",
            f"{credentials}@" if credentials else "",
            f"[{host}]" if ":" in host else _quoted(host),
            f":{port}" if port else "",
            f"/{_quoted(name)}" if name else "",
            f"?{query}" if query else "",
        ]
    )


def _quoted(text: str) -> str:
    return quote(text, safe="")
