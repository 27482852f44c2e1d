"""The results of campaigns, printed and in docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from bench.machine import machine
from bench.pages import put_between, table
from proofs.chaos.campaign import LIMITS, Campaign
from proofs.chaos.checker import Violation, is_killed
from proofs.chaos.history import Injected, Operation

__all__ = ["PAGE", "describe", "describe_violations", "write_report"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN: Final = "<!-- chaos -->\n"
_END: Final = "<!-- end -->"
_HEADER: Final = ("fault", "times", "operations", "violations", "5xx", "longest answer", "recovered after, at most")
_SHOWN: Final = 10  # violations


def write_report(campaigns: Sequence[Campaign], command: str) -> None:
    """Put the results into the page."""
    put_between(PAGE, _BEGIN, _END, f"{describe(campaigns, command)}\n")


def describe(campaigns: Sequence[Campaign], command: str) -> str:
    """Return totals, the table of all faults, and what could not be tried."""
    rows = [_row(name, campaigns) for name in _names(campaigns)]
    return "\n".join([_totals(campaigns, command), "", table(_HEADER, rows), *_untried(campaigns)])


def describe_violations(campaigns: Sequence[Campaign]) -> str:
    """Return the first violations with the operations that prove them."""
    found = [violation for campaign in campaigns for violation in campaign.violations]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "\n".join([*map(str, found[:_SHOWN]), *more])


def _names(campaigns: Sequence[Campaign]) -> list[str]:
    groups = {fault.name: fault.group for campaign in campaigns for fault in campaign.history.injected}
    return sorted(groups, key=lambda name: (groups[name], name))


def _row(name: str, campaigns: Sequence[Campaign]) -> tuple[object, ...]:
    injected = [
        (campaign, fault) for campaign in campaigns for fault in campaign.history.injected if fault.name == name
    ]
    meanwhile = list(chain.from_iterable(_meanwhile(campaign, fault) for campaign, fault in injected))
    violations = sum(_violations(campaign, fault) for campaign, fault in injected)
    recovered = [fault.recovered_s for _, fault in injected]
    worst = "not in time" if None in recovered else f"{max(each or 0.0 for each in recovered):.1f} s"
    return name, len(injected), f"{len(meanwhile):,}", violations, _failed(meanwhile), _longest(meanwhile), worst


def _meanwhile(campaign: Campaign, fault: Injected) -> list[Operation]:
    """Return the operations of clients of the API from the begin of the fault to the recovery from it."""
    until = fault.end + (fault.recovered_s or 0.0)
    return [each for each in _asked([campaign]) if each.begin <= until and fault.begin <= each.end]


def _violations(campaign: Campaign, fault: Injected) -> int:
    return sum(_is_of(violation, fault) for violation in campaign.violations)


def _is_of(violation: Violation, fault: Injected) -> bool:
    until = fault.end + (fault.recovered_s or 0.0)
    operations = [each for each in violation.proof if isinstance(each, Operation)]
    return fault in violation.proof or any(each.begin <= until and fault.begin <= each.end for each in operations)


def _asked(campaigns: Sequence[Campaign]) -> list[Operation]:
    return [each for campaign in campaigns for each in campaign.history.operations if each.kind != "sql"]


def _failed(operations: Sequence[Operation]) -> str:
    return f"{sum(each.status >= 500 for each in operations) / max(len(operations), 1):.1%}"


def _longest(operations: Sequence[Operation]) -> str:
    return f"{max((each.end - each.begin for each in operations), default=0.0):.2f} s"


def _totals(campaigns: Sequence[Campaign], command: str) -> str:
    asked = _asked(campaigns)
    kinds = Counter(each.kind for campaign in campaigns for each in campaign.history.operations)
    injected = [fault for campaign in campaigns for fault in campaign.history.injected]
    recovered = [fault.recovered_s for fault in injected if fault.recovered_s is not None]
    violations = sum(len(campaign.violations) for campaign in campaigns)
    sources = Counter("; hit" in each.cache_status for each in asked if each.cache_status)
    caches = ", ".join(campaign.kind for campaign in campaigns)
    lines = [
        f"`{command}`, caches: {caches}, on {machine()}:",
        "",
        f"- {len(asked) + kinds['sql']:,} operations: {kinds['row'] + kinds['rows']:,} reads, {kinds['write']:,} "
        f"commands with their retries, {kinds['sql']:,} transactions past the API",
        f"- {len(injected):,} faults of {len(set(_names(campaigns)))} kinds",
        f"- **{violations:,} violations**",
        f"- {_failed(asked)} of all answers were 5xx; {sum(map(is_killed, asked)):,} came from the gateway, because a "
        "fault had killed the function",
        f"- {_longest(asked)} was the longest answer; {LIMITS.longest_s:.0f} s are promised, and the time for which a "
        "fault stops the function itself",
        f"- {max(recovered, default=0.0):.1f} s was the longest recovery; {LIMITS.recovered_s:.0f} s are promised",
        f"- {sources[True] / max(sources.total(), 1):.0%} of the answers to reads came from the cache, "
        f"{sum('stale-if-error' in each.cache_status for each in asked):,} of all were stale because of an error",
    ]
    return "\n".join(lines)


def _untried(campaigns: Sequence[Campaign]) -> Iterator[str]:
    untried = {name: why for campaign in campaigns for name, why in campaign.untried.items()}
    failed: Counter[str] = Counter()
    for campaign in campaigns:
        failed.update(campaign.failed)
    yield from (f"- not tried: {name}: {why}" for name, why in untried.items())
    yield from (f"- not injected {count} ×: {why}" for why, count in failed.items())
