"""`python -m proofs.fuzz [--minutes M] [--seed N] [--target NAME] [--guided | --case HEX]`.

Status 1 if a property does not hold. All targets share the time. Cases are random, the seed is printed, and a failure
says how to find it again. `--guided`: the code that a case makes run guides the next cases (guided.py). Such a run
begins with the cases of earlier runs, so its seed does not repeat it: `--case HEX` does.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from proofs.fuzz.choices import Choices
from proofs.fuzz.search import Found, failure_of, search
from proofs.fuzz.targets import GUIDED, TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.fuzz")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--guided", action="store_true")
    parser.add_argument("--case", type=bytes.fromhex, help="one case of a target, as a failure printed it")
    arguments = parser.parse_args()
    if arguments.case is not None:
        if len(arguments.target or ()) != 1:
            parser.error("--case needs one --target, that of the failure")
        return _run_case(arguments.target[0], arguments.case)
    if arguments.guided and not set(arguments.target or GUIDED) <= set(GUIDED):
        parser.error(f"only {', '.join(GUIDED)} can be guided: what a server does is no guide")
    if arguments.guided and find_spec("atheris") is None:
        parser.error("--guided needs atheris, which has wheels for Linux on x86_64 only")
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    names = arguments.target or list(GUIDED if arguments.guided else TARGETS)
    print(f"seed {seed}, {arguments.minutes:g} minutes for {len(names)} targets", flush=True)
    held = True
    for name in names:
        seconds = arguments.minutes * 60 / len(names)
        if arguments.guided:
            held = _run_guided(name, seconds, seed) and held
            continue
        with TARGETS[name]() as target:
            found = search(target, seconds, seed, _progress(name, seconds))
        held = held and found.failure is None
        print(_line(found), flush=True)
    return 0 if held else 1


def _run_case(name: str, data: bytes) -> int:
    with TARGETS[name]() as target:
        failure = failure_of(target, Choices(data))
    print(failure or "all properties hold for this case")
    return 1 if failure else 0


def _run_guided(name: str, seconds: float, seed: int) -> bool:
    """Run libFuzzer in a process of its own. libFuzzer ends this process, and prints its progress."""
    # To libFuzzer, 0 is no limit, and no seed.
    options = (f"-max_total_time={max(1, round(seconds))}", f"-seed={seed or 1}", "-print_final_stats=1")
    command = (sys.executable, "-m", "proofs.fuzz.guided", name, *options)
    with TemporaryDirectory(prefix="cacheaside-") as folder:  # libFuzzer removes nothing when it ends the process
        return subprocess.run(command, env={**os.environ, "TMPDIR": folder}, check=False).returncode == 0


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
