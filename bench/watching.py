"""What watching costs those who write: `python -m bench.watching` prints the table of docs/benchmarks.md.

pgbench writes to tables that are not watched, that are, and that are while the invalidate function's sweep listens and
drains: these take turns, each being first, second and last once. A ratio is one of median latencies, and the middle one
of the rounds. The drainer shares the machine, which a deployed one does not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.invalidation.drain import Backlog, Drained, Drainer
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verifier import Verification
from cacheaside.settings import Authentication, CacheSettings, DatabaseSettings
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from migrate.upgrade import upgrade

ROUNDS: Final = 3
SECONDS: Final = 1
SCALE: Final = 10  # of 100,000 accounts each
STATES: Final = ("not watched", "watched", "watched, somebody listens")
TABLES: Final = ("accounts", "branches", "history", "tellers")

_ACCOUNT: Final = rf"\set aid random(1, {SCALE} * 100000 - 1000)"
_UPDATE: Final = "update pgbench_accounts set abalance = abalance + 1 where aid"


@dataclass(frozen=True, slots=True)
class Workload:
    """What each client does again and again, one transaction at a time. No script: pgbench's own, like TPC-B."""

    name: str
    clients: int
    script: str = ""


WORKLOADS: Final = [
    Workload("update of one row", 1, f"{_ACCOUNT}\n{_UPDATE} = :aid;"),
    Workload("update of one row", 8, f"{_ACCOUNT}\n{_UPDATE} = :aid;"),
    Workload("like TPC-B: three updates, an insert", 1),
    Workload("update of 1,000 rows", 1, f"{_ACCOUNT}\n{_UPDATE} between :aid and :aid + 999;"),
]


class Bench:
    """One server with pgbench's tables."""

    def __init__(self, server: PostgresServer, connection: Connection, folder: Path, cache: CacheSettings) -> None:
        self._server = server
        self._cache = cache
        self._connection = connection
        self._folder = folder
        upgrade(connection)
        connection.autocommit = True
        self._pgbench("--initialize", "--quiet", f"--scale={SCALE}")

    def latencies(self, workload: Workload, state: str) -> list[int]:
        """Return the microseconds that each transaction took."""
        watch = "unwatch" if state == STATES[0] else "watch"
        self._run(*(f"select cacheaside.{watch}('pgbench_{table}')" for table in TABLES))
        self._run("truncate cacheaside.outbox")
        script = self._folder / "script.sql"
        script.write_text(workload.script)
        for log in self._folder.glob("log*"):
            log.unlink()
        with self._listening() if state == STATES[2] else nullcontext():
            self._write(workload, script)
        return [int(line.split()[2]) for log in self._folder.glob("log*") for line in log.read_text().splitlines()]

    def _write(self, workload: Workload, script: Path) -> None:
        self._pgbench(
            *("--no-vacuum", "--protocol=prepared", f"--client={workload.clients}", f"--time={SECONDS}"),
            *("--log", f"--log-prefix={self._folder / 'log'}"),
            f"--file={script}" if workload.script else "--builtin=tpcb-like",
        )

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """A sweep, from when it listens until the block is over and it has drained what is left."""
        url = self._server.url_for("cacheaside_invalidate")
        outbox = Outbox(DatabaseSettings(url=url, authentication=Authentication.URL, region=""))
        sweep = Sweep(outbox, Drainer(outbox, Cache(self._cache)), _Nothing())
        thread = Thread(target=sweep.run, args=[SECONDS + 1.0, _Nothing()])
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _run(self, *statements: str) -> None:
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _pgbench(self, *arguments: str) -> None:
        command = [str(self._server.programs / "pgbench"), *arguments, self._server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
        if done.returncode != 0:
            raise RuntimeError(done.stderr)


class _Nothing:
    """A verifier that has nothing to verify, and a report that nobody reads."""

    def verify(self) -> Verification:
        return Verification(0)

    def drained(self, drained: Drained, backlog: Backlog) -> None: ...
    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


def benches(exits: ExitStack) -> Iterator[tuple[str, Bench]]:
    """Start a cache, a database that waits for its disk when it commits, as a deployed one, and one that does not."""
    valkey = exits.enter_context(ValkeyServer(Path(exits.enter_context(tempfile.TemporaryDirectory()))))
    cache = CacheSettings(url=valkey.url, authentication=Authentication.URL, region="", name="")
    for name, durable in (("commits wait for the disk", True), ("they do not", False)):
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-")))
        folder.chmod(0o755)
        server = exits.enter_context(PostgresServer(folder, durable=durable))
        connection = exits.enter_context(closing(psycopg2.connect(server.url)))
        yield name, Bench(server, connection, folder, cache)


def report(progress: str) -> None:
    """Show how far it is, in the place of what was shown before."""
    print(f"\r{progress:40}\r", end="", file=sys.stderr, flush=True)


def main() -> None:
    medians: dict[tuple[Workload, str], list[dict[str, float]]] = defaultdict(list)  # of each round, by state
    with ExitStack() as exits:
        report("starting two servers ...")
        servers = dict(benches(exits))
        runs = list(product(range(ROUNDS), WORKLOADS, servers))
        for done, (turn, workload, server) in enumerate(runs):
            report(f"{done} of {len(runs)} comparisons")
            states = STATES[turn:] + STATES[:turn]
            found = {state: median(servers[server].latencies(workload, state)) for state in states}
            medians[workload, server].append(found)
        report("")

    print(f"| transaction | clients | | {' | '.join(STATES)} |\n|---|---:|---" + "|---:" * len(STATES) + "|")
    for workload, server in product(WORKLOADS, servers):
        rounds = medians[workload, server]
        cells = [f"{median(found[STATES[0]] for found in rounds) / 1000:.2f} ms"]
        cells += [f"{median(found[state] / found[STATES[0]] for found in rounds):.2f}×" for state in STATES[1:]]
        print(f"| {workload.name} | {workload.clients} | {server} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
