"""`python -m proofs.simulator`: all parts, in five minutes on two quiet cores. `… known` and so on: one part.

With --quick it is small and noisy, and writes nothing. Without, it writes the figures and tables of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from proofs.simulator import report
from proofs.simulator.growth import GROWN, RATES, READS_PER_S, demand, scaling, simulate_rate
from proofs.simulator.incidents import INCIDENTS, Setting, simulate
from proofs.simulator.known_results import HERDS, Herd, recomputations, refilled_per_s
from proofs.simulator.strategies import FULL, STRATEGIES

_BETAS: Final = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_SHARDS: Final = (1, 3, 15, 90)
_PROGRESS_EVERY: Final = 5
_TITLES: Final = {
    "expiry": "The 20 hottest answers expire together",
    "writes": "100 writes a second to the 20 hottest rows, for ten seconds",
    "failover": "The cache is away for ten seconds, and empty then",
    "deploy": "A deploy replaces all sandboxes and all keys",
}


@dataclass(frozen=True, slots=True)
class _Output:
    page: Path
    figures: Path
    quick: bool


def main() -> None:
    parser = argparse.ArgumentParser(prog="proofs.simulator", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], metavar="PART")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor() as pool:
        output = _Output(report.DOCS / "scaling.md", report.DOCS / "figures", quick=arguments.quick)
        if arguments.quick:
            copy = Path(shutil.copy(output.page, scratch))
            output = _Output(copy, Path(scratch), quick=True)
        for part in arguments.parts or _PARTS:
            _PARTS[part](pool, output)


def _known(pool: Executor, output: _Output) -> None:
    expiries, seconds = (40, 5) if output.quick else (2_500, 20)
    jobs: dict[Any, Future[Any]] = {}
    for beta in _BETAS:
        jobs[beta, False] = pool.submit(recomputations, beta, expiries, with_lease=False)
        jobs[beta, True] = pool.submit(recomputations, beta, expiries // 25, with_lease=True)
    for name, strategy in HERDS.items():
        jobs[name] = pool.submit(refilled_per_s, strategy, Herd(), seconds)
    results = _results("known", jobs)
    without, leased = ({beta: results[beta, has_lease] for beta in _BETAS} for has_lease in (False, True))
    report.write_table("early refresh", report.recomputations_table(without, leased), output.page)
    report.write_table("herds", report.herd_table({name: results[name] for name in HERDS}), output.page)
    report.plot_recomputations(without, leased, output.figures)


def _incidents(pool: Executor, output: _Output) -> None:
    setting = Setting(reads_per_s=500, after_s=20) if output.quick else Setting()
    jobs: dict[Any, Future[Any]] = {
        (incident, name): pool.submit(simulate, incident, name, setting)
        for incident in INCIDENTS
        for name in STRATEGIES
    }
    for sandboxes in (1_000, 250):
        more_keys = replace(setting, keys=1_000, sandboxes_at_most=sandboxes)
        for name in STRATEGIES:
            jobs[sandboxes, name] = pool.submit(simulate, "failover", name, more_keys)
    results = _results("incidents", jobs)
    for incident in INCIDENTS:
        timelines = {name: results[incident, name] for name in STRATEGIES}
        report.write_table(incident, report.incident_table(timelines), output.page)
        report.plot_incident(incident, _TITLES[incident], timelines, output.figures)
    recoveries = {job: result for job, result in results.items() if job[0] not in INCIDENTS}
    report.write_table("recovery", report.recovery_table(recoveries), output.page)


def _growth(pool: Executor, output: _Output) -> None:
    reads = 2_000 if output.quick else 20_000
    jobs: dict[Any, Future[Any]] = {
        (name, rate): pool.submit(simulate_rate, strategy, rate, reads)
        for rate in reversed(RATES)
        for name, strategy in GROWN.items()
    }
    results = _results("growth", jobs)
    curves = {name: [results[name, rate] for rate in RATES] for name in GROWN}
    demands = {rate: demand(curves[FULL.name], rate, _SHARDS) for rate in READS_PER_S}
    size = (200, 200) if output.quick else (2_000, 2_000)
    checks = _results("scaling", {name: pool.submit(scaling, name, curves[name], *size) for name in STRATEGIES})
    report.write_table("growth", report.growth_table(curves), output.page)
    report.write_table("demand", report.demand_table(demands), output.page)
    report.write_table("scaling", report.scaling_table(checks), output.page)
    report.plot_growth(curves, output.figures)


def _results(part: str, jobs: dict[Any, Future[Any]]) -> dict[Any, Any]:
    """Return the result of each job, in the order of the jobs. Shows how many are done."""
    began = time.monotonic()
    for done, _ in enumerate(as_completed(jobs.values()), 1):
        if done % _PROGRESS_EVERY == 0 or done == len(jobs):
            print(f"{part}: {done} of {len(jobs)} simulations, {time.monotonic() - began:.0f} s", flush=True)
    return {name: job.result() for name, job in jobs.items()}


_PARTS: Final = {"known": _known, "incidents": _incidents, "growth": _growth}


if __name__ == "__main__":
    main()
