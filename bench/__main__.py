"""`make bench`: all figures of docs/benchmarks.md about speed, in some ten minutes.

python -m bench                   writes docs/benchmarks.md, docs/figures and .local/bench/figures.json
python -m bench --quick FOLDER    as little as possible of everything, and the same files within FOLDER
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import redis

from bench import cold_start, hits, log_bytes, memory, misses, served_hits, stampedes
from bench.figures import Results
from bench.machine import machine
from bench.query_stack import QueryStack, query_stack
from bench.report import write_report
from bench.servers import ROOT

# Each measurement with its size, and the smallest one that gives all its figures.
_SUITE: Final[dict[str, tuple[Callable[[QueryStack, int], Results], int, int]]] = {
    "hits": (hits.measure, hits.ROUNDS, 1),
    "served_hits": (served_hits.measure, served_hits.ROUNDS, 1),
    "cold_start": (cold_start.measure, cold_start.ROUNDS, 1),
    "misses": (misses.measure, misses.ROUNDS, 1),
    "memory": (memory.measure, memory.ROUNDS, 1),
    "log_bytes": (log_bytes.measure, log_bytes.SECONDS, 1),
    "stampedes": (stampedes.measure, stampedes.CLIENTS, 4),
}


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("--quick", type=Path, metavar="FOLDER", help="measure as little as possible, for a test")
    folder = parser.parse_args().quick
    if folder:
        (folder / "docs").mkdir()
        shutil.copy(ROOT / "docs" / "benchmarks.md", folder / "docs")
    print(machine(), file=sys.stderr)
    results = {}
    with query_stack() as stack:
        for number, (name, (measure, size, smallest)) in enumerate(_SUITE.items()):
            print(f"{number + 1} of {len(_SUITE)}: {name}", file=sys.stderr)
            with redis.Redis.from_url(stack.cache_url) as client:
                client.flushall()
            # In a process of its own, so that none inherits the modules, the heap or the connections of another.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                results[name] = process.submit(measure, stack, smallest if folder else size).result()
    write_report(folder or ROOT, machine(), results)


if __name__ == "__main__":
    main()
