"""The results as tables, for the terminal and for docs/scaling.md, and as plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.pages import put_between, table
from bench.plots import Panel, Series, lines
from proofs.simulator.growth import READS_PER_S, Curve, Demand, Scaling, loads_per_s
from proofs.simulator.incidents import Timeline
from proofs.simulator.single_key import WORK_MS, Expiries

__all__ = [
    "DOCS",
    "demand_table",
    "growth_table",
    "herd_table",
    "incident_table",
    "plot_growth",
    "plot_incident",
    "plot_recomputations",
    "recomputations_table",
    "recovery_table",
    "scaling_table",
    "write_table",
]

DOCS: Final = Path(__file__).parents[2] / "docs"


def write_table(name: str, text: str, page: Path) -> None:
    """Print a table, and put it into the page, between the comments that name it."""
    print(f"\n{name}\n\n{text}", flush=True)
    put_between(page, f"<!-- simulate: {name} -->\n", "<!-- end -->", text)


def _table(header: str, rows: Sequence[Sequence[object]]) -> str:
    return table(header.split(" | "), rows)


def recomputations_table(without: Mapping[float, Expiries], with_lease: Mapping[float, Expiries]) -> str:
    rows = [
        (beta, f"{math.exp(1 / beta):.2f}", f"{each.mean:.2f} ± {each.error:.2f}", f"{with_lease[beta].mean:.2f}")
        for beta, each in without.items()
    ]
    return _table("β | theory, e^(1/β) | loads per expiry, no lease | with our lease", rows)


def herd_table(herds: Mapping[str, float]) -> str:
    return _table("13,000 keys | loads/s", [(name, f"{rate:,.0f}") for name, rate in herds.items()])


def incident_table(timelines: Mapping[str, Timeline]) -> str:
    rows = []
    for name, each in timelines.items():
        loads = each.loads[each.seconds.index(0) :]
        shares = (f"{each.failed:.1%}", f"{each.outdated:.1%}")
        rows.append((name, sum(loads), max(loads), *shares, _seconds(each.recovered_s), f"{each.sandboxes:,}"))
    return _table("strategy | loads | most in 1 s | failed | outdated answers | recovered after | sandboxes", rows)


def recovery_table(recoveries: Mapping[tuple[int, str], Timeline]) -> str:
    rows = [
        (f"{name}, at most {sandboxes:,} sandboxes", sum(each.loads), f"{each.failed:.1%}", _seconds(each.recovered_s))
        for (sandboxes, name), each in recoveries.items()
    ]
    return _table("failover, 1,000 keys | loads | failed | recovered after", rows)


def growth_table(curves: Mapping[str, Curve]) -> str:
    rows = [(f"{rate:,}", *(_number(loads_per_s(curve, rate)) for curve in curves.values())) for rate in READS_PER_S]
    return _table(" | ".join(("reads/s", *(f"{name}: loads/s" for name in curves))), rows)


def demand_table(demands: Mapping[int, Demand]) -> str:
    shards = next(iter(demands.values())).busiest_shard
    header = "reads/s | loads/s | busy cores of the database | commands/s | of the hottest key | Mbit/s | "
    header += " | ".join(f"busiest of {number}" for number in shards)
    header += ' | busy sandboxes | looks/s with `local = "1s"`'
    rows = []
    for rate, each in demands.items():
        least, most = map(_number, each.local_commands_per_s)
        commands = map(_number, (each.commands_per_s, each.hottest_key_per_s, each.megabits_per_s))
        busiest = map(_number, each.busiest_shard.values())
        cores = _number(each.loads_per_s * WORK_MS / 1000)
        local = least if least == most else f"{least}–{most}"
        rows.append(
            (f"{rate:,}", _number(each.loads_per_s), cores, *commands, *busiest, _number(each.busy_sandboxes), local)
        )
    return _table(header, rows)


def scaling_table(scalings: Mapping[str, Scaling]) -> str:
    rows = [(name, f"{each.whole:.2f}", f"{each.tenth:.2f}", f"{each.summed:.2f}") for name, each in scalings.items()]
    return _table("loads/s of every tenth key | whole fleet | fleet of a tenth | sum of single keys", rows)


def plot_recomputations(without: Mapping[float, Expiries], with_lease: Mapping[float, Expiries], folder: Path) -> None:
    betas = list(without)
    fine = [betas[0] + (betas[-1] - betas[0]) * step / 100 for step in range(101)]
    series = [
        Series("e^(1/β)", fine, [math.exp(1 / beta) for beta in fine]),
        Series("no lease", betas, [each.mean for each in without.values()]),
        Series("our lease", betas, [each.mean for each in with_lease.values()]),
    ]
    panel = Panel("Loads per expiry with early refresh", "β", "loads per expiry", series)
    title = "Early refresh alone costs e^(1/β) loads per expiry; with the lease it costs one"
    lines(folder / "simulator-early-refresh.svg", title, [panel])


def plot_incident(incident: str, title: str, timelines: Mapping[str, Timeline], folder: Path) -> None:
    def series(values: Mapping[str, Sequence[float]]) -> list[Series]:
        return [Series(name, each.seconds, values[name]) for name, each in timelines.items()]

    # On a logarithmic axis, a second without a load stands at a half.
    loads = series({name: [max(count, 0.5) for count in each.loads] for name, each in timelines.items()})
    p99 = series({name: each.p99_ms for name, each in timelines.items()})
    marks = [(0.0, incident)]
    panels = [
        Panel("Database loads", "seconds", "loads a second", loads, log_y=True, marks=marks),
        Panel("p99 of a read; a failure counts as 30 s", "seconds", "ms", p99, log_y=True, marks=marks),
    ]
    lines(folder / f"simulator-{incident}.svg", title, panels)


def plot_growth(curves: Mapping[str, Curve], folder: Path) -> None:
    series = [
        Series(name, READS_PER_S, [loads_per_s(curve, rate) for rate in READS_PER_S]) for name, curve in curves.items()
    ]
    panel = Panel("Database loads, 100,000 keys", "reads a second", "loads a second", series, log_x=True, log_y=True)
    title = "With leases, reads can grow a thousandfold: loads stay below one for each key and ttl"
    lines(folder / "simulator-growth.svg", title, [panel])


def _seconds(value: int | None) -> str:
    return "never" if value is None else f"{value} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
