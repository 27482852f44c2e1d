"""`python -m proofs.explorer`: every scenario with the production read path, then every broken variant of the world."""

from __future__ import annotations

import sys
import time

from proofs.explorer.explore import Found, Scenario, explore
from proofs.explorer.scenarios import BROKEN, CORRECT, scenarios


def main(readers: int = 3) -> int:
    good = True
    print(f"{'scenario':<60} {'states':>10} {'transitions':>12} {'s':>5}  result")
    # Fewer readers leave room for more accidents: leases that end and keys that are evicted, in any order.
    for scenario in [*scenarios(readers), *scenarios(2, 2, drops=3)]:
        began = time.monotonic()
        found = explore(scenario, CORRECT)
        good = good and found.violation is None
        _tell(scenario, found, time.monotonic() - began)
    print("\nbroken on purpose")
    for variant in BROKEN:
        small_first = [*scenarios(2, 1), *scenarios(3, 1)]
        caught = next((found for scenario in small_first if (found := explore(scenario, variant)).violation), None)
        good = good and caught is not None
        print(f"  {variant.name:<40} {'caught' if caught else 'NOT CAUGHT'}")
        for line in (caught.violation or ()) if caught else ():
            print(f"      {line}")
    return 0 if good else 1


def _tell(scenario: Scenario, found: Found, seconds: float) -> None:
    result = "no stale answer" if found.violation is None else " / ".join(found.violation)
    who = f"{scenario.readers} readers, {scenario.writers} writers, {scenario.drops} lost keys, {scenario.name}"
    counts = f"{found.states:>10,} {found.transitions:>12,} {seconds:>5.0f}"
    print(f"{who:<60} {counts}  {result}, loads when calm: {found.most_loads_when_calm}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
