"""How much watching slows down writers: `python -m bench.watching` prints the table of docs/benchmarks.md.

pgbench writes to tables in three states: not watched, watched, and watched while a sweep polls and drains. The states
take turns: in three rounds each is first, second and last once. A ratio compares median latencies; the table has the
median ratio of the rounds. The drainer shares the machine with PostgreSQL, which a deployed one does not.
"""

from __future__ import annotations

import subprocess
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

from bench.servers import RunningServers, running_servers
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.invalidation.drain import Backlog, Drained, Drainer
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verification import Verification
from local.progress import Progress

ROUNDS: Final = 3
SECONDS: Final = 1
SCALE: Final = 10  # of 100,000 accounts each
STATES: Final = ("not watched", "watched", "watched, a sweep polls")
TABLES: Final = ("accounts", "branches", "history", "tellers")

_ACCOUNT: Final = rf"\set aid random(1, {SCALE} * 100000 - 1000)"
_UPDATE: Final = "update pgbench_accounts set abalance = abalance + 1 where aid"


@dataclass(frozen=True, slots=True)
class Workload:
    """The transaction that each client repeats. Without a script it is pgbench's own, like TPC-B."""

    name: str
    clients: int
    script: str = ""


WORKLOADS: Final = [
    Workload("update of one row", 1, f"{_ACCOUNT}\n{_UPDATE} = :aid;"),
    Workload("update of one row", 8, f"{_ACCOUNT}\n{_UPDATE} = :aid;"),
    Workload("like TPC-B: three updates, an insert", 1),
    Workload("update of 1,000 rows", 1, f"{_ACCOUNT}\n{_UPDATE} between :aid and :aid + 999;"),
]


class PgBench:
    """pgbench and its tables, on one PostgreSQL server."""

    def __init__(self, servers: RunningServers, owner: Connection) -> None:
        self._server = servers.postgres
        self._settings = servers.settings("InvalidateFunction")
        self._owner = owner
        self._folder = servers.folder
        owner.autocommit = True
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
        with self._polling() if state == STATES[2] else nullcontext():
            self._write(workload, script)
        return [int(line.split()[2]) for log in self._folder.glob("log*") for line in log.read_text().splitlines()]

    def _write(self, workload: Workload, script: Path) -> None:
        self._pgbench(
            *("--no-vacuum", "--protocol=prepared", f"--client={workload.clients}", f"--time={SECONDS}"),
            *("--log", f"--log-prefix={self._folder / 'log'}"),
            f"--file={script}" if workload.script else "--builtin=tpcb-like",
        )

    @contextmanager
    def _polling(self) -> Iterator[None]:
        """Have a sweep poll and drain during the block. At the end it drains the remaining changes."""
        outbox = Outbox(self._settings.database)
        sweep = Sweep(outbox, Drainer(outbox, Cache(self._settings.cache)).drain, lambda: Verification(0))
        thread = Thread(target=sweep.run, args=[SECONDS + 1.0, _NoReport()])
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _run(self, *statements: str) -> None:
        with self._owner.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _pgbench(self, *arguments: str) -> None:
        command = [str(self._server.programs / "pgbench"), *arguments, self._server.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)


class _NoReport:
    def followed(self, unrecorded: int) -> None: ...
    def drained(self, drained: Drained, backlog: Backlog) -> None: ...
    def folded(self, rows: int) -> None: ...
    def verified(self, verification: Verification) -> None: ...


def start_benches(exits: ExitStack) -> Iterator[tuple[str, PgBench]]:
    """Start a database whose commits wait for the disk, as a deployed one's do, and one whose commits do not wait."""
    for name, durable in (("commits wait for the disk", True), ("commits do not wait", False)):
        servers = exits.enter_context(running_servers(durable=durable))
        yield name, PgBench(servers, exits.enter_context(closing(psycopg2.connect(servers.postgres.url))))


def main() -> None:
    medians: dict[tuple[Workload, str], list[dict[str, float]]] = defaultdict(list)  # of each round, by state
    with ExitStack() as exits:
        benches = dict(start_benches(exits))
        runs = list(product(range(ROUNDS), WORKLOADS, benches))
        progress = Progress("Comparisons")
        for done, (turn, workload, bench) in enumerate(runs):
            states = STATES[turn:] + STATES[:turn]
            measured = {state: median(benches[bench].latencies(workload, state)) for state in states}
            medians[workload, bench].append(measured)
            progress(done + 1, len(runs))

    print(f"| transaction | clients | | {' | '.join(STATES)} |\n|---|---:|---" + "|---:" * len(STATES) + "|")
    for workload, bench in product(WORKLOADS, benches):
        rounds = medians[workload, bench]
        cells = [f"{median(latency[STATES[0]] for latency in rounds) / 1000:.2f} ms"]
        cells += [f"{median(latency[state] / latency[STATES[0]] for latency in rounds):.2f}×" for state in STATES[1:]]
        print(f"| {workload.name} | {workload.clients} | {bench} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
