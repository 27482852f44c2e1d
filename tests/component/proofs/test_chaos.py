"""Short campaigns on real servers: one that must hold, and one with deliberate defects, each of which must be found."""

from __future__ import annotations

from dataclasses import replace

from proofs.chaos.campaign import LIMITS, Campaign, run_campaign
from proofs.chaos.checker import check
from proofs.chaos.defects import DEFECTS, with_defects
from proofs.chaos.faults import FAULTS, Fault
from proofs.chaos.report import describe, describe_violations

SEED = 16
TRIES_S = (30, 60, 120)  # on a busy machine too little happens
# The other tests of a run take most of the CPU, and what is promised about time is promised without them.
PATIENT = replace(LIMITS, longest_s=40.0, recovered_s=30.0)
HELD = (
    "cache killed, and started again empty",
    "PostgreSQL restarted (immediate)",
    "sandboxes of CommandFunction killed",
)


def faults(*names: str) -> list[Fault]:
    found = [fault for fault in FAULTS if fault.name in names]
    assert len(found) == len(names)
    return found


def test_no_promise_is_broken_while_servers_and_sandboxes_die() -> None:
    for seconds in TRIES_S:
        campaign = run_campaign("node", seconds, SEED, faults=faults(*HELD))
        campaign.violations = check(campaign.history, PATIENT)
        assert not campaign.violations, describe_violations([campaign])
        if {fault.name for fault in campaign.history.injected} == set(HELD):
            break
    assert {fault.name for fault in campaign.history.injected} == set(HELD)
    assert not campaign.failed
    assert "**0 violations**" in describe([campaign], "make chaos")
    assert counted(campaign) == {"row", "rows", "write", "sql"}
    assert any("; hit" in each.cache_status for each in campaign.history.operations)


def counted(campaign: Campaign) -> set[str]:
    """Return the kinds of operation that succeeded: without any, a run would be no evidence."""
    return {each.kind for each in campaign.history.operations if each.status == 200}


def test_deliberate_defects_are_found() -> None:
    for seconds in TRIES_S:
        campaign = run_campaign("node", seconds, SEED, faults=faults(HELD[0]), prepare=with_defects)
        promises = {violation.promise for violation in campaign.violations}
        missing = [defect.name for defect in DEFECTS if defect.promise not in promises]
        if not missing:
            break
    assert not missing
