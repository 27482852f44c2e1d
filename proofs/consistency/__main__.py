"""`python -m proofs.consistency SECONDS [--cache node|cluster|pair]`: status 1 if the promise did not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from proofs.consistency.caches import KINDS
from proofs.consistency.run import consistency


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.consistency")
    parser.add_argument("seconds", type=float, nargs="?", default=120.0)
    parser.add_argument("--cache", choices=KINDS, default="node")
    wanted = parser.parse_args()

    def show(passed: float, operations: int, violations: int) -> None:
        done = int(30 * passed / wanted.seconds)
        bar = f"[{'#' * done}{' ' * (30 - done)}] {passed:4.0f} s, {operations:,} operations, {violations:,} violations"
        print(f"\r{bar}", end="", file=sys.stderr, flush=True)

    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cacheaside-")))
        folder.chmod(0o755)  # PostgreSQL, started by root, runs as somebody else
        postgres = exits.enter_context(PostgresServer(folder / "postgres", durable=False))
        with closing(psycopg2.connect(postgres.url)) as connection:
            upgrade(connection)
        progress = show if sys.stderr.isatty() else lambda *_: None
        report = consistency(wanted.seconds, wanted.cache, postgres, folder, progress)
    print(f"\n{report}")
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
