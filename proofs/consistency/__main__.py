"""`python -m proofs.consistency SECONDS [--cache node|cluster|pair|unnamed-pair]`: status 1 if a check failed."""

from __future__ import annotations

import argparse
import sys

from bench.servers import temporary_postgres
from proofs.consistency.cache_faults import CACHE_KINDS
from proofs.consistency.run import check_consistency


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.consistency")
    parser.add_argument("seconds", type=float, nargs="?", default=120.0)
    parser.add_argument("--cache", choices=CACHE_KINDS, default="node")
    arguments = parser.parse_args()

    def show(passed: float, operations: int, violations: int) -> None:
        progress = f"{passed:4.0f} of {arguments.seconds:.0f} s, {operations:,} operations, {violations:,} violations"
        print(f"\r{progress}", end="", file=sys.stderr, flush=True)

    with temporary_postgres(durable=False) as (postgres, folder):
        progress = show if sys.stderr.isatty() else lambda *_: None
        report = check_consistency(arguments.seconds, arguments.cache, postgres, folder, progress)
    print(f"\n{report}")
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
