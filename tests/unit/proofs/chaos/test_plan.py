"""The schedule of faults: what the seed decides, and what must not happen in it."""

from __future__ import annotations

from itertools import islice

from proofs.chaos.plan import Drawn, schedule

GROUPS = {f"{group} {number}": group for group in ("cache", "database", "functions") for number in range(5)}


def drawn(seed: int, count: int, cache: str = "node") -> list[Drawn]:
    return list(islice(schedule(seed, cache, GROUPS), count))


def test_seed_replays_the_schedule() -> None:
    assert drawn(7, 50) == drawn(7, 50)
    assert drawn(7, 50) != drawn(8, 50)
    assert drawn(7, 50) != drawn(7, 50, "cluster")


def test_every_fault_comes_before_any_comes_again() -> None:
    first = [each.faults[0] for each in drawn(1, 2 * len(GROUPS))]
    assert sorted(first[: len(GROUPS)]) == sorted(first[len(GROUPS) :]) == sorted(GROUPS)


def test_some_faults_overlap_and_never_two_of_one_group() -> None:
    overlapping = [each.faults for each in drawn(1, 200) if len(each.faults) == 2]
    assert 10 < len(overlapping) < 100
    assert all(GROUPS[one] != GROUPS[other] for one, other in overlapping)


def test_faults_of_one_group_are_never_overlapped() -> None:
    only = {"one": "cache", "other": "cache"}
    assert all(len(each.faults) == 1 for each in islice(schedule(1, "node", only), 50))


def test_no_fault_is_no_schedule() -> None:
    assert list(schedule(1, "node", {})) == []
