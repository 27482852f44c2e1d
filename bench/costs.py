"""The monthly cost of a stack: `python -m bench.costs` prints the tables of docs/costs.md.

Every amount is a price below times a quantity that the document shows. After a change of a price or an assumption here,
paste the printed tables into the document: tests/unit/bench/test_costs.py compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# USD, on demand, us-east-1, from the price pages or from pages that quote them, up to June 2026.
PRICES: Final = {
    "db.t4g.micro": (0.016, "hour, PostgreSQL; twice that with a standby"),
    "db.t4g.medium": (0.065, "hour, PostgreSQL; twice that with a standby"),
    "ACU": (0.12, "hour of a capacity unit of Aurora"),
    "gp3": (0.115, "GB of database storage; twice that with a standby"),
    "cache.t4g.micro": (0.0128, "hour, Valkey; 0.016 with redis"),
    "cache.t4g.small": (0.0256, "hour, Valkey; 0.032 with redis"),
    "serverless GB": (0.084, "GB and hour of ElastiCache Serverless, Valkey; at least 0.1 GB"),
    "serverless ECPU": (0.0023, "million ECPUs, Valkey"),
    "proxy": (0.015, "hour and vCPU of the database behind the RDS Proxy"),
    "endpoint": (0.01, "hour of an interface endpoint in a zone; also 0.01 a GB"),
    "nat": (0.045, "hour of a NAT gateway; also 0.045 a GB"),
    "address": (0.005, "hour of a public IPv4 address"),
    "API requests": (1.0, "million, HTTP API"),
    "Lambda requests": (0.2, "million"),
    "Lambda GB-s": (0.0000133334, "GB and second, arm64"),
    "snapshot": (0.0000015046, "GB and second of a published version with SnapStart, Python"),
    "restore": (0.0001397998, "GB restored from one"),
    "log": (0.5, "GB ingested"),
    "kept log": (0.03, "GB and month, compressed"),
    "metric": (0.3, "metric that is not AWS's own, or of a route"),
    "alarm": (0.1, "metric that an alarm looks at"),
    "dashboard": (3.0, "dashboard"),
    "between zones": (0.01, "GB"),
    "to the internet": (0.09, "GB"),
}
HOURS: Final = 730
SECONDS: Final = HOURS * 3600
MILLIONS: Final = 100 * SECONDS / 1e6  # requests of a month, 100 a second
BILLED_S: Final = 0.012  # of the query function: 2 ms for a hit, 200 ms for the one request in 20 that is a miss
ANSWER_KB, LOG_KB = 2.0, 0.03 + 0.55 + 0.4  # logs: metrics, start and report of Lambda, access log
ALARM_METRICS: Final = 29


def usd(price: str, quantity: float) -> float:
    """Return the cost of `quantity` of it, in USD."""
    return PRICES[price][0] * quantity


MICRO, MEDIUM = usd("db.t4g.micro", HOURS), usd("db.t4g.medium", 2 * HOURS)
DISK, NODE, NODES = usd("gp3", 20), usd("cache.t4g.micro", HOURS), usd("cache.t4g.small", 2 * HOURS)
POLLED, SCHEDULED = (usd("Lambda GB-s", SECONDS / 60 * seconds * 0.25) for seconds in (65, 0.2))


def bill() -> dict[str, list[float]]:
    """Return the lines, each with USD for dev idle, dev at 100 requests a second, prod idle, prod at 100."""
    logs = MILLIONS * LOG_KB  # GB
    kept = [usd("kept log", logs * 0.15 * days / 30.4) for days in (14, 90)]
    return {
        "database: 730 h of db.t4g.micro; prod 2 × of db.t4g.medium": [MICRO, MICRO, MEDIUM, MEDIUM],
        "its storage: 20 GB, prod 2 ×; as much backup is free": [DISK, DISK, 2 * DISK, 2 * DISK],
        "cache: 730 h of cache.t4g.micro; prod 2 × of cache.t4g.small": [NODE, NODE, NODES, NODES],
        "polling: 43,800 × 65 s × 0.25 GB": [POLLED] * 4,
        "API: 262.8 million requests": [0, usd("API requests", MILLIONS)] * 2,
        "Lambda, requests: as many": [0, usd("Lambda requests", MILLIONS)] * 2,
        "Lambda, time: as many × 12 ms × 1 GB": [0, usd("Lambda GB-s", MILLIONS * 1e6 * BILLED_S)] * 2,
        "logs: as many × 0.98 kB; idle 0.5 GB": [usd("log", 0.5), usd("log", logs)] * 2,
        "logs, kept: 15 % of that, compressed; dev 14 days, prod 90": [0, kept[0], 0, kept[1]],
        "metrics: 8 of the sweep; busy 5 queries and all × 7, 3 routes × 6": [usd("metric", 8), usd("metric", 68)] * 2,
        f"alarms: {ALARM_METRICS} metrics that 21 alarms look at": [usd("alarm", ALARM_METRICS)] * 4,
        "dashboard: 1": [usd("dashboard", 1)] * 4,
        "between zones: half of the answers × 2 kB": [0, usd("between zones", MILLIONS * ANSWER_KB / 2)] * 2,
        "to the internet: all answers × 2 kB": [0, usd("to the internet", MILLIONS * ANSWER_KB)] * 2,
    }


def options() -> list[tuple[str, str, str]]:
    """Return the cost or saving of each option: the option, the quantities, USD."""
    nat = usd("nat", HOURS) + usd("address", HOURS)
    acu = usd("ACU", 0.5 * HOURS)
    empty, full = usd("serverless GB", 0.1 * HOURS), usd("serverless GB", HOURS) + usd("serverless ECPU", 5 * MILLIONS)
    return [
        ("`Invalidation=schedule`", "43,800 × 0.2 s, not 65 s, × 0.25 GB", with_sign(SCHEDULED - POLLED)),
        ("`Egress=endpoints`", "2 endpoints × 2 zones × 730 h", with_sign(usd("endpoint", 4 * HOURS))),
        ("`Egress=nat`", "730 h of a gateway and its address; prod 2 ×", with_sign(nat, 2 * nat)),
        ("`RdsProxy=on`", "2 vCPU × 730 h, in both presets", with_sign(usd("proxy", 2 * HOURS))),
        (
            "`DatabaseSource=aurora`, idle",
            "0.5 ACU × 730 h; prod 2 ×, and no instance",
            with_sign(acu - MICRO, 2 * acu - MEDIUM),
        ),
        ("`CacheType=cluster`", "3 shards, so 2 more nodes; prod 4", with_sign(2 * NODE, 2 * NODES)),
        ("`CacheType=serverless`, idle", "0.1 GB × 730 h, and no node", with_sign(empty - NODE, empty - NODES)),
        ("the same, 100/s", "1 GB × 730 h, 5 ECPUs a request, and no node", with_sign(full - NODE, full - NODES)),
        ("`CacheEngine=redis`", "nodes cost a quarter more", with_sign(NODE / 4, NODES / 4)),
        (
            "`SnapStart=on`",
            "1 GB × a month, for each published version, normally one",
            with_sign(usd("snapshot", SECONDS)),
        ),
        ("the same", "10,000 cold starts × 1 GB", with_sign(usd("restore", 10_000))),
    ]


def with_sign(*dev_and_prod: float) -> str:
    """Return one amount, or one for dev and one for prod, with signs."""
    signed = [f"{amount:+.2f}".replace("-", "−") for amount in dev_and_prod]
    return signed[0] if len(signed) == 1 else "dev {}, prod {}".format(*signed)


def table(head: str, rule: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join([f"| {head} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def tables() -> list[str]:
    """Return the tables of the document: bill, options, prices."""
    amounts = bill()
    lines = [[what, *(f"{amount:,.2f}" for amount in columns)] for what, columns in amounts.items()]
    total = ["**total**", *(f"**{sum(column):,.0f}**" for column in zip(*amounts.values(), strict=True))]
    prices = [[name, f"{price:.10f}".rstrip("0").rstrip("."), unit] for name, (price, unit) in PRICES.items()]
    return [
        table("what | dev, idle | dev, 100/s | prod, idle | prod, 100/s", "---|---:|---:|---:|---:", [*lines, total]),
        table("choice | counts | USD a month", "---|---|---:", options()),
        table("price | USD | for each", "---|---:|---", prices),
    ]


if __name__ == "__main__":
    print("\n\n".join(tables()))
