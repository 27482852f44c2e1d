"""The explorer with few actors; `make explore` runs it with more of them, and with more faults."""

from __future__ import annotations

import pytest

from proofs.explorer.model import Mutant
from proofs.explorer.scenarios import CLUSTER, MUTANTS, UNCHANGED, scenarios, small_scenarios
from proofs.explorer.search import Scenario, explore


@pytest.mark.parametrize("scenario", scenarios(2, 2, lost_keys=1), ids=str)
def test_no_interleaving_of_two_readers_and_two_writers_returns_a_stale_answer(scenario: Scenario) -> None:
    explored = explore(scenario, UNCHANGED)
    assert explored.violation is None
    assert explored.states > 5_000


@pytest.mark.parametrize("scenario", scenarios(2, 1, lost_replies=1, failed_loads=1), ids=str)
def test_lost_replies_and_shared_failures_make_no_answer_stale(scenario: Scenario) -> None:
    explored = explore(scenario, UNCHANGED)
    assert explored.violation is None
    assert explored.states > 500


@pytest.mark.parametrize("scenario", scenarios(2, 1, lost_keys=1)[:1], ids=str)
def test_tags_on_other_servers_make_no_answer_stale(scenario: Scenario) -> None:
    explored = explore(scenario, CLUSTER)
    assert explored.violation is None
    assert explored.states > 10_000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_violates_an_invariant(mutant: Mutant) -> None:
    assert any(explore(scenario, mutant).violation for scenario in small_scenarios())


@pytest.mark.parametrize("scenario", scenarios(2, 0, overwrites=1, failed_loads=1), ids=str)
def test_rubbish_under_any_key_at_any_time_is_never_answered_nor_waited_for_and_heals(scenario: Scenario) -> None:
    explored = explore(scenario, UNCHANGED)
    assert explored.violation is None
    assert explored.states > 200


@pytest.mark.parametrize(("failed_loads", "loads"), [(0, 1), (1, 2)])
def test_cold_key_is_loaded_once_and_once_more_if_that_fails(failed_loads: int, loads: int) -> None:
    """The second load is a race: a reader that looked before the failure was left, and acquired after it, tries."""
    explored = explore(scenarios(3, 0, failed_loads=failed_loads)[0], UNCHANGED)
    assert (explored.violation, explored.most_undisturbed_loads) == (None, loads)
