"""`python -m proofs.soak SECONDS [--report] [--samples FILE]`: status 1 if something grows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.progress import Progress
from proofs.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.soak")
    parser.add_argument("seconds", type=float, nargs="?", default=3600.0)
    parser.add_argument("--report", action="store_true", help="write the table and the plot into docs/")
    parser.add_argument("--samples", type=Path, help="write all samples as CSV")
    arguments = parser.parse_args()
    if not sys.platform.startswith("linux"):
        sys.exit("a soak reads what processes use from /proc, which only Linux has")
    report = soak(arguments.seconds, Progress("soak, seconds"))
    print(f"\n{report}")
    if arguments.samples:
        report.save(arguments.samples)
    if arguments.report:
        report.write()
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
