"""The command lines of psql and valkey-cli. A password goes into their environment, where `ps` does not show it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from psycopg2.extensions import make_dsn, parse_dsn

from local import ROOT
from local.environment import LOOPBACK
from local.errors import LocalError
from local.live.target import DeployedStack
from local.postgres_urls import canonical_url
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST
from local.servers.valkey import ValkeyServer

__all__ = ["UNREACHABLE", "Program", "psql", "psql_through_tunnel", "valkey"]

_CERTIFICATES: Final = ROOT / "layers" / "dependencies" / "certificates" / "rds-global-bundle.pem"

UNREACHABLE: Final = "database and cache of a stack are in isolated subnets, and cannot be reached from outside"
_OPEN_A_TUNNEL: Final = """stack {stack}: {unreachable}.
Open a tunnel in another terminal, through an instance in its VPC that is a member of FunctionSecurityGroup, and of a
group that lets it reach SSM:

  aws ssm start-session --target i-… --document-name AWS-StartPortForwardingSessionToRemoteHost \\
    --parameters host={host},portNumber={port},localPortNumber=15432

Then:  cacheaside psql --stack {stack} --tunnel 15432"""


class Program(NamedTuple):
    """What to execute, and what to add to the environment."""

    command: list[str]
    environment: dict[str, str]


def psql(url: str, arguments: Sequence[str]) -> Program:
    """Return psql, connected to the database of `url`. Raises `LocalError`.

    On this machine it is the embedded one, which is of the embedded server's version and has no TLS. Elsewhere it is
    that of PATH, if there is one.
    """
    parameters = parse_dsn(canonical_url(url))
    here = parameters.get("host") in LOOPBACK and "sslmode" not in parameters
    found = None if here else shutil.which("psql")
    return _psql(found or str(PostgresServer(Path()).programs / "psql"), parameters, arguments)


def psql_through_tunnel(stack: DeployedStack, rds: Any, port: int | None, arguments: Sequence[str]) -> Program:
    """Return psql, signed in as the owner of the stack's database, through the `port` of this machine.

    `rds` is boto3's client, which signs the token without a call. Raises `LocalError` without a tunnel, or without a
    psql that has TLS.
    """
    host, _, database_port = stack.output("DatabaseEndpoint").rpartition(":")
    if port is None:
        raise LocalError(
            _OPEN_A_TUNNEL.format(stack=stack.name, unreachable=UNREACHABLE, host=host, port=database_port)
        )
    program = shutil.which("psql")
    if program is None:
        raise LocalError("psql is not on PATH: install PostgreSQL's client, because the embedded one has no TLS")
    user = stack.parameter("DatabaseOwner")
    token = rds.generate_db_auth_token(DBHostname=host, Port=int(database_port), DBUsername=user)
    # The name is what the certificate is verified against, the address is where the tunnel begins.
    parameters = {
        "host": host,
        "hostaddr": HOST,
        "port": str(port),
        "dbname": stack.parameter("DatabaseName"),
        "user": user,
        "password": token,
        "sslmode": "verify-full",
        "sslrootcert": str(_CERTIFICATES),
    }
    return _psql(program, parameters, arguments)


def _psql(program: str, parameters: dict[str, str], arguments: Sequence[str]) -> Program:
    password = parameters.pop("password", None)
    return Program(
        [program, make_dsn(**parameters), *arguments], {"PGPASSWORD": password} if password is not None else {}
    )


def valkey(url: str, arguments: Sequence[str]) -> Program:
    """Return valkey-cli, connected to the cache of `url`."""
    parts = urlsplit(url)
    command = [str(ValkeyServer(Path()).cli), "-h", parts.hostname or HOST, "-p", str(parts.port or 6379)]
    command += ["--tls"] if parts.scheme == "rediss" else []
    command += ["-n", parts.path.strip("/")] if parts.path.strip("/") else []
    if parts.password is None:
        return Program([*command, *arguments], {})
    command += ["--user", unquote(parts.username)] if parts.username else []
    return Program([*command, *arguments], {"REDISCLI_AUTH": unquote(parts.password)})
