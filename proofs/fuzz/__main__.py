"""`python -m proofs.fuzz [--minutes M] [--seed N] [--target NAME]`: status 1 if a property does not hold.

All targets share the time. Cases are random, the seed is printed, and a failure says how to find it again.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable

from proofs.fuzz.search import Found, search
from proofs.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.fuzz")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--target", choices=TARGETS, action="append")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    names = arguments.target or list(TARGETS)
    print(f"seed {seed}, {arguments.minutes:g} minutes for {len(names)} targets", flush=True)
    held = True
    for name in names:
        seconds = arguments.minutes * 60 / len(names)
        with TARGETS[name]() as target:
            found = search(target, seconds, seed, _progress(name, seconds))
        held = held and found.failure is None
        print(_line(found), flush=True)
    return 0 if held else 1


def _progress(name: str, seconds: float) -> Callable[[int, float], None]:
    def show(cases: int, passed: float) -> None:
        print(
            f"\r{name:<12} {passed:5.0f} of {seconds:.0f} s  {cases:>12,} cases",
            end="",
            file=sys.__stderr__,
            flush=True,
        )

    return show if sys.__stderr__ is not None and sys.__stderr__.isatty() else lambda *_: None


def _line(found: Found) -> str:
    result = "holds" if found.failure is None else f"FAILS\n\n{found.failure}"
    return f"\r{found.target:<12} {found.cases:>12,} cases in {found.seconds:>6.0f} s  {result}"


if __name__ == "__main__":
    sys.exit(main())
