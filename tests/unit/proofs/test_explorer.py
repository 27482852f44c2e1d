"""The explorer with two readers and two writers; `make explore` runs it with three readers."""

from __future__ import annotations

import pytest

from proofs.explorer.model import Mutant
from proofs.explorer.scenarios import MUTANTS, UNCHANGED, scenarios, small_scenarios
from proofs.explorer.search import Scenario, explore


@pytest.mark.parametrize("scenario", scenarios(2), ids=lambda scenario: scenario.name)
def test_no_interleaving_of_two_readers_and_two_writers_returns_a_stale_answer(scenario: Scenario) -> None:
    explored = explore(scenario, UNCHANGED)
    assert explored.violation is None
    assert explored.states > 5_000


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_violates_an_invariant(mutant: Mutant) -> None:
    assert any(explore(scenario, mutant).violation for scenario in small_scenarios())


@pytest.mark.parametrize("scenario", scenarios(2, 0, 0, overwrites=1), ids=lambda scenario: scenario.name)
def test_rubbish_under_any_key_at_any_time_is_never_answered_nor_waited_for_and_heals(scenario: Scenario) -> None:
    explored = explore(scenario, UNCHANGED)
    assert explored.violation is None
    assert explored.states > 200


def test_cold_key_is_loaded_once_if_no_key_is_lost_and_nothing_is_written() -> None:
    cold = scenarios(3, 0)[0]
    explored = explore(Scenario(cold.name, cold.initial, readers=3, writers=0, lost_keys=0), UNCHANGED)
    assert (explored.violation, explored.most_undisturbed_loads) == (None, 1)
