"""Lets the functions act as their own roles in a database where one user signs in, so that a missing grant shows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import psycopg2

from cacheaside.drivers.postgres.introspection.acting_role import settings_of
from local.errors import LocalError
from local.terminal import one_line

__all__ = ["ACTING", "acting_options", "with_options"]

# libpq passes `options` to the server, which splits them at spaces.
_ESCAPED: Final = str.maketrans({"\\": "\\\\", " ": "\\ "})
# The roles of the functions that serve requests.
ACTING: Final = ("cacheaside_query", "cacheaside_command", "cacheaside_invalidate")
_USER: Final = "select current_user, exists (select from pg_roles where rolname = 'rds_iam')"


def acting_options(url: str, roles: Iterable[str] = ACTING) -> tuple[dict[str, str], str]:
    """Return libpq's `options` for each role that the user of `url` can act as, and a warning about the others, or "".

    They are the role, and its settings, which `set role` ignores. Raises `LocalError` without a connection.
    """
    found, refused, reason = {}, [], ""
    try:
        with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cur:
            cur.execute(_USER)
            [(user, has_iam)] = cur.fetchall()
            wanted = {role: _options([("role", role), *settings_of(cur, role)]) for role in roles}
    except psycopg2.Error as error:
        raise LocalError(f"DATABASE_URL: {one_line(error)}") from None
    for role, options in wanted.items():
        if objection := _objection(with_options(url, options), role):
            refused.append(role)
            reason = objection
        else:
            found[role] = options
    return found, _warning(user, refused, reason, has_iam) if refused else ""


def with_options(url: str, options: str) -> str:
    """Return `url` with more libpq options. Those that it has come first."""
    if not options:
        return url
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["options"] = f"{query.get('options', '')} {options}".strip()
    # libpq decodes %20 and not +.
    written = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    return urlunsplit(parts._replace(query=written))


def _options(settings: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"-c {name}={value.translate(_ESCAPED)}" for name, value in settings)


def _objection(url: str, role: str) -> str:
    try:
        with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cur:
            cur.execute("select current_user")
            [(user,)] = cur.fetchall()
    except psycopg2.Error as error:
        return one_line(error).rpartition("FATAL: ")[2].strip()
    return "" if user == role else "the server, or a pooler before it, ignores startup options"


def _warning(user: str, refused: list[str], reason: str, has_iam: bool) -> str:
    roles = ", ".join(refused)
    remedy = (
        "On RDS there is no remedy: a member of these roles could not sign in with a password any more."
        if has_iam
        else f"To see them, an administrator of the roles runs: grant {roles} to {user};"
    )
    return f"Here the functions act as {user}, not as {roles}, so a missing grant does not show: {reason}. {remedy}"
