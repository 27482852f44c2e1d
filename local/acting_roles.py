"""Lets the functions act as their own roles in a database where one user signs in, so that a missing grant shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cacheaside.drivers.postgres.introspection.acting_role import settings_of
from local.connecting import connected
from local.errors import LocalError

__all__ = ["ACTING", "acting_options"]

# libpq passes `options` to the server, which splits them at white space.
_ESCAPED: Final = str.maketrans({each: f"\\{each}" for each in "\\ \t\n\v\f\r"})
# The roles of the functions that serve requests.
ACTING: Final = ("cacheaside_query", "cacheaside_command", "cacheaside_invalidate")
_USER: Final = "select quote_ident(current_user), exists (select from pg_roles where rolname = 'rds_iam')"


def acting_options(url: str, roles: Iterable[str] = ACTING) -> tuple[dict[str, str], str]:
    """Return libpq's `options` for each role that the user of `url` can act as, and a warning about the others, or "".

    They are the role, and its settings, which `set role` ignores. Raises `LocalError` without a connection.
    """
    found, refused, reason = {}, [], ""
    with connected(url) as connection, connection.cursor() as cur:
        cur.execute(_USER)
        [(user, has_iam)] = cur.fetchall()
        wanted = {role: _options([("role", role), *settings_of(cur, role)]) for role in roles}
    for role, options in wanted.items():
        if objection := _objection(url, options, role):
            refused.append(role)
            reason = objection
        else:
            found[role] = options
    return found, _warning(user, refused, reason, has_iam) if refused else ""


def _options(settings: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"-c {name}={value.translate(_ESCAPED)}" for name, value in settings)


def _objection(url: str, options: str, role: str) -> str:
    try:
        with connected(url, options) as connection, connection.cursor() as cur:
            cur.execute("select current_user")
            [(user,)] = cur.fetchall()
    except LocalError as error:
        return str(error).rpartition("FATAL: ")[2].strip()
    return "" if user == role else "the server, or a pooler before it, ignores startup options"


def _warning(user: str, refused: list[str], reason: str, has_iam: bool) -> str:
    roles = ", ".join(refused)
    if "startup" in reason:  # the words of pgbouncer and of PostgreSQL
        remedy = "To see it, give the address of PostgreSQL itself."
    elif has_iam:
        remedy = "On RDS there is no remedy: a member of these roles could not sign in with a password any more."
    else:
        remedy = f"To see it, an administrator of the roles runs: grant {roles} to {user};"
    return f"Here the functions act as {user}, not as {roles}, so a missing grant does not show: {reason}. {remedy}"
