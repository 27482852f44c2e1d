"""`python -m proofs.explorer`: explores all scenarios, then every mutant. Status 1 if a check fails."""

from __future__ import annotations

import sys
import time

from proofs.explorer.scenarios import MUTANTS, all_scenarios, small_scenarios
from proofs.explorer.search import Exploration, explore


def main() -> int:
    passed = True
    print(f"{'system and scenario':<118} {'states':>10} {'transitions':>12} {'s':>5}  result")
    for scenario, system in all_scenarios():
        began = time.monotonic()
        explored = explore(scenario, system)
        passed = passed and explored.violation is None
        _print_result(f"{system.name}, {scenario}", explored, time.monotonic() - began)
    print("\nmutants: each must be found to violate an invariant")
    for mutant in MUTANTS:
        killed = next((found for scenario in small_scenarios() if (found := explore(scenario, mutant)).violation), None)
        passed = passed and killed is not None
        print(f"  {mutant.name:<40} {'found' if killed else 'NOT FOUND'}")
        for line in (killed.violation or ()) if killed else ():
            print(f"      {line}")
    return 0 if passed else 1


def _print_result(name: str, explored: Exploration, seconds: float) -> None:
    result = "no stale answer" if explored.violation is None else " / ".join(explored.violation)
    counts = f"{explored.states:>10,} {explored.transitions:>12,} {seconds:>5.0f}"
    loads = f"at most {explored.most_undisturbed_loads} loads where only a failed load justified another"
    print(f"{name:<118} {counts}  {result}, {loads}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
