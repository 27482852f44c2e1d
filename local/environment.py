"""The environment variables of each function, here and in `sam local`, that differ from the template.

The template declares every one of them, because `sam local` overrides no others.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from local.postgres_urls import with_options

__all__ = ["ROLES", "function_environment"]

LOOPBACK = frozenset(["127.0.0.1", "localhost", "::1"])

# The database role of each function, as in a deployment. Migrations need the owner.
ROLES = {
    "QueryFunction": "cacheaside_query",
    "CommandFunction": "cacheaside_command",
    "InvalidateFunction": "cacheaside_invalidate",
    "MigrateFunction": "postgres",
}


def function_environment(
    database_url: str,
    cache_url: str,
    embedded: bool,
    host: str | None = None,
    options: Mapping[str, str] | None = None,
) -> dict[str, dict[str, str]]:
    """Return the variables by function, then by name.

    `embedded`: `database_url` is the embedded server's, which trusts this machine, so each function signs in as its
    own role. With any other server the user in its URL signs in, and acts as the role that has `options`. `host`
    replaces the loopback address, which inside a container means the container.
    """
    options = options or {}
    database_url, cache_url = _reachable(database_url, host), _reachable(cache_url, host)
    variables = {}
    for function, role in ROLES.items():
        variables[function] = {
            "AUTHENTICATION": "url",
            "POWERTOOLS_METRICS_NAMESPACE": "cacheaside",
            "DATABASE_URL": with_options(database_url, options.get(role, "")),
            "DATABASE_USER": role if embedded else "",
            "CACHE_URL": cache_url,
        }
        if function in ("QueryFunction", "CommandFunction"):
            variables[function]["DATABASE_HOST"] = ""
        if function != "MigrateFunction":
            # The embedded server has one user, the default one, without a password.
            variables[function]["CACHE_USER"] = ""
            variables[function]["CACHE_MODE"] = "node"
    open_to_all = {"READ_AUTHORIZATION": "open", "WRITE_AUTHORIZATION": "open", "DEVELOPER_MODE": "on"}
    variables["QueryFunction"].update(open_to_all)  # nothing on this machine authenticates callers
    variables["MigrateFunction"].update(
        READ_AUTHORIZATION="", WRITE_AUTHORIZATION=""
    )  # it refuses no statement for that
    invalidate = variables["InvalidateFunction"]
    # The verifier loads answers as the query function would.
    invalidate["READ_DATABASE_USER"] = variables["QueryFunction"]["DATABASE_USER"]
    if options:
        invalidate["READ_DATABASE_URL"] = variables["QueryFunction"]["DATABASE_URL"]
    if host:
        # `sam local` has no schedule: one event is one sweep. It should return at once and not poll for a minute.
        invalidate["INVALIDATION"] = "schedule"
    return variables


def _reachable(url: str, host: str | None) -> str:
    parts = urlsplit(url)
    if host is None or parts.hostname not in LOOPBACK:
        return url
    credentials, at, _ = parts.netloc.rpartition("@")
    address = host if parts.port is None else f"{host}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{address}"))
