"""Containers for the time of a block: a database and a cache that check IAM tokens, and the functions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from local import ROOT
from local.containers import engine
from local.sam_cli import find_sam, host_architecture
from tests.emulator.sign_in.deployed import CACHE_NAME, OWNER, access_strings
from tests.support.authority import Authority
from tests.support.wait_until import wait_until

__all__ = [
    "ADMINISTRATOR",
    "IMAGE",
    "NAMES",
    "Container",
    "Function",
    "running_cache",
    "running_database",
    "running_function",
]

IMAGE: Final = "cacheaside-servers:tests"
ADMINISTRATOR: Final = ("redis-cli", "-p", "7000")  # in a container of the cache
NAMES: Final = {"database": "database.example", "cache": "cache.example"}


@dataclass(frozen=True)
class Container:
    """`address` is that of the container, `port` the one on this machine."""

    id: str
    address: str
    port: int

    def log(self) -> str:
        """Return all that it has printed."""
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def run(self, *command: str) -> str:
        """Run a command in it, and return its output."""
        return subprocess.run(["docker", "exec", self.id, *command], capture_output=True, text=True, check=True).stdout


@contextmanager
def _running(port: int, image: str, options: list[str], *command: str, published: str = "") -> Iterator[Container]:
    """Run a container that listens on `port`, until the block ends. `published`: the port on this machine, or any."""
    publish = ("--publish", f"127.0.0.1:{published}:{port}")
    started = ["docker", "run", "--detach", "--rm", *publish, *options, image, *command]
    number = subprocess.run(started, capture_output=True, text=True, check=True).stdout.strip()
    try:
        [shown] = json.loads(subprocess.run(["docker", "inspect", number], capture_output=True, check=True).stdout)
        network = shown["NetworkSettings"]
        published = int(network["Ports"][f"{port}/tcp"][0]["HostPort"])
        yield Container(number, network["Networks"]["bridge"]["IPAddress"], published)
    finally:
        subprocess.run(["docker", "kill", number], capture_output=True, check=False)


@contextmanager
def running_database(folder: Path, authority: Authority, principals: Path) -> Iterator[Container]:
    """Run PostgreSQL, with an empty database `shop`."""
    authority.issue(folder, "localhost", NAMES["database"])
    options = [*_mounts(folder, principals), *_variables({"POSTGRES_USER": OWNER, "POSTGRES_DB": "shop"})]
    tls = ("ssl=on", "ssl_cert_file=/tls/server.crt", "ssl_key_file=/tls/server.key", "fsync=off")
    own = ["--entrypoint", "sh"]  # PostgreSQL reads only a key that is its own
    start = 'chown -R postgres /tls && exec docker-entrypoint.sh postgres "$@"'
    arguments = [argument for setting in tls for argument in ("-c", setting)]
    with _running(5432, IMAGE, options + own, "-c", start, "sh", *arguments) as container:
        wait_until(lambda: _succeeds(container, "/bin/sh", "-c", "/usr/lib/postgresql/*/bin/pg_isready -h /tmp"))
        yield container


@contextmanager
def running_cache(
    folder: Path,
    authority: Authority,
    principals: Path,
    *options: str,
    names: Sequence[str] = ("localhost",),
    published: str = "",
    **variables: str,
) -> Iterator[Container]:
    """Run a cache, with the users of a deployment. Its certificate has these `names` besides its own."""
    authority.issue(folder, *names, NAMES["cache"], CACHE_NAME)
    tls = ("--tls-port", "6379", "--tls-cert-file", "/tls/server.crt", "--tls-key-file", "/tls/server.key")
    own = [*_mounts(folder, principals), *_variables(variables)]
    with _running(6379, IMAGE, own, *tls, *options, published=published) as container:
        wait_until(lambda: _succeeds(container, *ADMINISTRATOR, "PING"))
        for user, access in access_strings().items():
            container.run(*ADMINISTRATOR, "ACL", "SETUSER", user, "nopass", *access.split())
        yield container


class Function:
    """A function in a container that lives on between its invocations, like a sandbox."""

    def __init__(self, container: Container) -> None:
        self._url = f"http://127.0.0.1:{container.port}/2015-03-31/functions/function/invocations"
        self.container = container

    def invoke(self, event: Any) -> Any:
        """Return the answer to the event."""
        with urlopen(Request(self._url, json.dumps(event).encode()), timeout=120) as response:  # noqa: S310  # http
            return json.loads(response.read() or b"null")


@contextmanager
def running_function(
    image: str, mounts: Mapping[Path, str], handler: str, variables: Mapping[str, str], servers: Mapping[str, Container]
) -> Iterator[Function]:
    """Run a function that finds `servers` by the names in their certificates.

    `mounts` are files and folders of this machine, and where the function has them.
    """
    emulator = next(find_sam(ROOT).resolve().parents[1].rglob(f"aws-lambda-rie-{host_architecture()}"))
    options = [
        *(word for path, at in {emulator: "/emulator", **mounts}.items() for word in ("--volume", f"{path}:{at}:ro")),
        *(word for kind, server in servers.items() for word in ("--add-host", f"{NAMES[kind]}:{server.address}")),
        *("--add-host", f"{engine.HOST_NAME}:host-gateway"),
        *_variables(variables),
        *("--entrypoint", "/emulator"),
    ]
    with _running(8080, image, options, "/var/runtime/bootstrap", handler) as container:
        wait_until(lambda: _listens(container.port))  # before that, Docker accepts a connection and ends it
        yield Function(container)


def _mounts(folder: Path, principals: Path) -> list[str]:
    return ["--volume", f"{folder}:/tls", "--volume", f"{principals}:/etc/iam.json:ro"]


def _variables(variables: Mapping[str, str]) -> list[str]:
    return [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]


def _listens(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/", timeout=60)
    except OSError as error:
        return isinstance(error, HTTPError)
    return True


def _succeeds(container: Container, *command: str) -> bool:
    with suppress(subprocess.CalledProcessError):
        container.run(*command)
        return True
    return False
