"""The initial states that are explored, and the mutants that the explorer must find to be wrong."""

from __future__ import annotations

from typing import Final

from cacheaside.catalogue.policy import Freshness
from proofs.explorer.model import Mutant, SharedState, stored_entry
from proofs.explorer.search import Faults, Scenario

__all__ = ["CLUSTER", "MUTANTS", "UNCHANGED", "all_scenarios", "scenarios", "small_scenarios"]

_TAG: Final = b"T" * 16
_INVALIDATED_TAG: Final = b"M" * 16

UNCHANGED: Final = Mutant("as deployed")
CLUSTER: Final = Mutant("as deployed, in a cluster", tags_apart=True)
MUTANTS: Final = (
    Mutant("one token for each client", token_per_client=True),
    Mutant("tag versions read when storing", late_versions=True),
    Mutant("plain SET instead of compare-and-set", plain_set=True),
    Mutant("DEL before COMMIT", invalidate_first=True),
    Mutant("lease read only when acquiring", look_without_lease=True),
    Mutant("lease acquired with SET NX", endless_leases=True),
    Mutant("tag versions set with SET NX", foreign_tags=True),
    Mutant("entry without its question", no_question=True),
    Mutant("lease renewed without looking", blind_renewal=True),
    Mutant("failure that outlives an invalidation", late_failure=True),
    Mutant("lease released without looking, twice", blind_release=True),
    Mutant("the same version of a tag, twice", repeated_versions=True),
)


def scenarios(readers: int, writers: int, **faults: int) -> list[Scenario]:
    """Return one scenario for each content that the cache can have at the beginning. `faults` are those of `Faults`."""
    each = (Freshness.FRESH, Freshness.STALE, Freshness.LAST_RESORT)
    fresh, stale, expired = (stored_entry(0, _TAG, freshness) for freshness in each)
    initial = {
        "cold": SharedState(),
        "a fresh entry": SharedState(entry=fresh, tag=_TAG),
        "a stale entry": SharedState(entry=stale, tag=_TAG),
        "an expired entry": SharedState(entry=expired, tag=_TAG),
        "an invalidated entry": SharedState(entry=fresh, tag=_INVALIDATED_TAG),
    }
    return [Scenario(name, shared, readers, writers, Faults(**faults)) for name, shared in initial.items()]


def all_scenarios() -> list[tuple[Scenario, Mutant]]:
    """Return all scenarios that are explored, each with the system. With fewer actors, more faults are affordable."""
    on_one_server = [
        *scenarios(3, 2, lost_keys=1),
        *scenarios(2, 2, lost_keys=3),
        *scenarios(2, 2, lost_keys=1, lost_replies=1, failed_loads=1),
        *scenarios(2, 1, lost_keys=1, lost_replies=2, failed_loads=1),
        *scenarios(3, 1, lost_replies=1, failed_loads=1),
        *scenarios(2, 2, overwrites=1),
        *scenarios(2, 1, overwrites=2),
        *scenarios(2, 1, overwrites=1, lost_replies=1, failed_loads=1),
    ]
    in_a_cluster = [*scenarios(2, 2, lost_keys=1), *scenarios(2, 1, lost_keys=1, lost_replies=1, failed_loads=1)]
    return [*((each, UNCHANGED) for each in on_one_server), *((each, CLUSTER) for each in in_a_cluster)]


def small_scenarios() -> list[Scenario]:
    """Return scenarios of which at least one shows the defect of each mutant, the smallest first. The cache is cold."""
    return [
        scenarios(2, 0, lost_replies=1)[0],
        scenarios(2, 1, failed_loads=1)[0],
        scenarios(2, 1, lost_keys=1)[0],
        scenarios(2, 1, lost_keys=1, lost_replies=1)[0],
        scenarios(2, 1, overwrites=1)[0],
    ]
