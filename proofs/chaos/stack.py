"""The stack that a campaign attacks: real servers, the gateway and sandboxes of `make run`, and proxies between them.

    load ──► gateway ──► sandboxes ──► cache proxies ──► Valkey (node, cluster or pair)
                  └────► of a deploy ──► database proxy ─► PostgreSQL

Every connection of the functions passes a proxy. The clients, the prober and the observer use none. The catalogue is a
copy: an edit of one of its files is served by new sandboxes from the next request on, as after a deploy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import psycopg2

from bench.fault_proxy import FaultProxy
from bench.functions_folder import FUNCTIONS, functions_folder, with_code
from bench.servers import ROOT
from local.api.gateway import Gateway
from local.api.pool import Pool
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST
from local.template import Schedule, Template, read_template
from migrate.upgrade import upgrade
from proofs.chaos.failovers import FailoverTimes
from proofs.chaos.faults.clock import SANDBOX_CLOCK, sandbox_clock, valkey_clock
from proofs.chaos.history import RuntimeFailure
from proofs.chaos.proxied import ProxiedNetwork
from proofs.chaos.register import write_catalogue
from proofs.consistency.cache_faults import CACHE_KINDS, CacheUnderTest
from proofs.consistency.register import create_register

__all__ = ["ChaosStack", "running_servers", "running_stack"]

_DISK_MB: Final = 400
# The disk is small, so PostgreSQL must not keep much of its log. `fsync` only matters when the machine itself fails.
_POSTGRES_SETTINGS: Final = {
    "fsync": "off",
    "max_wal_size": "96MB",
    "min_wal_size": "32MB",
    "wal_recycle": "off",
    "max_connections": "80",  # a fault takes them all, and each is a process
}
# The invalidate function polls for its timeout less 45 s. When a fault kills it, the schedule brings it back.
_SWEEP_EVERY_S: Final = 15.0
_SWEEP_TIMEOUT_S: Final = 62.0
_DRAINED_WITHIN_S: Final = 30.0

PORTS: Final = 2  # of the gateway, and of the one that serves a deploy; 0 while there is none


@dataclass(slots=True, kw_only=True)
class ChaosStack:
    """The running stack. Times are those of `time.monotonic`, which all processes of a machine share."""

    kind: str  # node, cluster or pair
    folder: Path
    postgres: PostgresServer
    disk_is_limited: bool  # the data of PostgreSQL is on a file system of its own, of a few hundred MB
    cache: CacheUnderTest
    cache_proxies: list[FaultProxy]  # one for each of `cache.nodes`
    database_proxy: FaultProxy
    functions: Path  # what the gateway serves: the code, and `catalogue`
    clock_file: Path  # what is added to the clock of Valkey; with a suffix, to that of a sandbox. See faults.clock
    ports: Any  # a shared array of integers: where clients find gateways
    in_flight: Any  # how many requests of clients each of them has
    failovers: FailoverTimes
    environment: dict[str, dict[str, str]] = field(default_factory=dict)  # of each function
    failures: list[RuntimeFailure] = field(default_factory=list)
    _pools: list[Mapping[str, Pool]] = field(default_factory=list)

    @property
    def catalogue(self) -> Path:
        """The files of queries and commands. To edit one is to deploy it."""
        return self.functions / "catalogue"

    @property
    def owner_url(self) -> str:
        """PostgreSQL itself, without the proxy, as its superuser."""
        return self.postgres.url

    def sandboxes(self, function: str) -> list[int]:
        """Return the processes of QueryFunction, CommandFunction or InvalidateFunction that run now."""
        return [pid for pools in self._pools for pid in pools[function].pids]

    @contextmanager
    def deployed(self, functions: Path) -> Iterator[None]:
        """Have `functions` answer every other request during the block, while what was deployed before goes on.

        So does a canary deployment, which is then rolled back: the block ends when its last request is answered.
        """
        with closing(Gateway(0)) as gateway, self._serving(gateway, functions, "deployed"):
            self.ports[1] = gateway.port
            try:
                yield
            finally:
                self.ports[1] = 0
                deadline = time.monotonic() + _DRAINED_WITHIN_S
                time.sleep(0.2)  # a client may have read the port just now
                while self.in_flight[1] and time.monotonic() < deadline:
                    time.sleep(0.05)

    @contextmanager
    def _serving(self, gateway: Gateway, functions: Path, name: str) -> Iterator[None]:
        template = _template(functions)
        log = self.folder / "log" / name
        with gateway.serving(template, self.environment, log, print_line=self._note_failure) as pools:
            self._pools.append(pools)
            try:
                yield
            finally:
                self._pools.remove(pools)

    def _note_failure(self, line: str) -> None:
        self.failures.append(RuntimeFailure(time.monotonic(), line))


@contextmanager
def running_stack(
    kind: str, ports: Any, in_flight: Any, prepare: Callable[[Path], object] = lambda _: None
) -> Iterator[ChaosStack]:
    """Run the stack during the block, with a cache of `kind`. `ports` and `in_flight` are shared with the clients.

    `prepare` may change the folder of the functions before they start.
    """
    with (
        running_servers(kind, ports, in_flight, prepare) as stack,
        closing(Gateway(0)) as gateway,
        stack._serving(gateway, stack.functions, "served"),
    ):
        ports[0] = gateway.port
        yield stack
        ports[0] = 0


@contextmanager
def running_servers(kind: str, ports: Any, in_flight: Any, prepare: Callable[[Path], object]) -> Iterator[ChaosStack]:
    """Run all but the gateway and its sandboxes."""
    with tempfile.TemporaryDirectory(prefix="cacheaside-") as name, ExitStack() as exits:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL, if root starts it, runs as another user
        disk_is_limited = exits.enter_context(_small_disk(folder / "postgres"))
        postgres = exits.enter_context(PostgresServer(folder / "postgres", settings=_POSTGRES_SETTINGS))
        with closing(psycopg2.connect(postgres.url)) as connection:
            upgrade(connection, FUNCTIONS)
        create_register(postgres.url)
        functions = functions_folder(folder / "functions", {})
        write_catalogue(functions / "catalogue")
        prepare(functions)
        network, failovers = ProxiedNetwork(), FailoverTimes()
        clock_file = folder / "clock"
        exits.enter_context(valkey_clock(clock_file))
        cache = exits.enter_context(CACHE_KINDS[kind](folder / "cache", failovers, network))
        database_proxy = exits.enter_context(closing(FaultProxy(HOST, postgres.port)))
        stack = ChaosStack(
            kind=kind,
            folder=folder,
            postgres=postgres,
            disk_is_limited=disk_is_limited,
            cache=cache,
            cache_proxies=network.proxies,
            database_proxy=database_proxy,
            functions=functions,
            clock_file=clock_file,
            ports=ports,
            in_flight=in_flight,
            failovers=failovers,
        )
        stack.environment.update(_environment(stack))
        yield stack


def _environment(stack: ChaosStack) -> dict[str, dict[str, str]]:
    proxied = f"postgresql://postgres@{HOST}:{stack.database_proxy.port}/cacheaside"
    environment = function_environment(proxied, stack.cache.network.url, embedded=True)
    for variables in environment.values():
        variables["CACHE_MODE"] = stack.cache.mode.value
        variables |= sandbox_clock(stack.clock_file)
    environment["CommandFunction"]["CACHE_REPLICAS"] = str(stack.cache.replicas)
    return environment


def _template(functions: Path) -> Template:
    template = read_template(ROOT / "template.yaml")
    coded = {name: with_code(function, functions) for name, function in template.functions.items()}
    served = {name: replace(each, paths=(*each.paths, SANDBOX_CLOCK)) for name, each in coded.items()}
    served["InvalidateFunction"] = replace(served["InvalidateFunction"], timeout=_SWEEP_TIMEOUT_S)
    return replace(template, functions=served, schedules=tuple(map(_more_often, template.schedules)))


def _more_often(schedule: Schedule) -> Schedule:
    return replace(schedule, interval=_SWEEP_EVERY_S)


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system at `folder`, if this machine allows that. Yields whether it did."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=755", "chaos", str(folder)]
    mounted = (
        os.geteuid() == 0 and shutil.which("mount") is not None and subprocess.run(command, check=False).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
