"""`python -m proofs.explorer [READERS]`: explores all scenarios, then every mutant. Status 1 if a check fails."""

from __future__ import annotations

import sys
import time

from proofs.explorer.scenarios import MUTANTS, UNCHANGED, scenarios, small_scenarios
from proofs.explorer.search import Exploration, Scenario, explore


def main(readers: int = 3) -> int:
    passed = True
    print(f"{'scenario':<74} {'states':>10} {'transitions':>12} {'s':>5}  result")
    # With fewer readers, more lost keys are affordable: leases that end and keys that are evicted, in any order. So is
    # an adversary that puts rubbish under any key at any time.
    few = [*scenarios(2, 2, lost_keys=3), *scenarios(2, 2, lost_keys=0, overwrites=1)]
    few += scenarios(2, 1, lost_keys=0, overwrites=2)
    for scenario in [*scenarios(readers), *few]:
        began = time.monotonic()
        explored = explore(scenario, UNCHANGED)
        passed = passed and explored.violation is None
        _print_result(scenario, explored, time.monotonic() - began)
    print("\nmutants: each must be found to violate an invariant")
    for mutant in MUTANTS:
        killed = next((found for scenario in small_scenarios() if (found := explore(scenario, mutant)).violation), None)
        passed = passed and killed is not None
        print(f"  {mutant.name:<40} {'found' if killed else 'NOT FOUND'}")
        for line in (killed.violation or ()) if killed else ():
            print(f"      {line}")
    return 0 if passed else 1


def _print_result(scenario: Scenario, explored: Exploration, seconds: float) -> None:
    result = "no stale answer" if explored.violation is None else " / ".join(explored.violation)
    faults = f"{scenario.lost_keys} lost keys, {scenario.overwrites} overwritten"
    actors = f"{scenario.readers} readers, {scenario.writers} writers, {faults}, {scenario.name}"
    counts = f"{explored.states:>10,} {explored.transitions:>12,} {seconds:>5.0f}"
    loads = f"at most {explored.most_undisturbed_loads} loads without writes and lost keys"
    print(f"{actors:<74} {counts}  {result}, {loads}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
