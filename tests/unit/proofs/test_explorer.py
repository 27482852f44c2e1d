"""The explorer on a small scale; `make explore` does it with three readers and two writers."""

from __future__ import annotations

import pytest

from proofs.explorer.explore import Scenario, explore
from proofs.explorer.model import Variant
from proofs.explorer.scenarios import BROKEN, CORRECT, scenarios


@pytest.mark.parametrize("scenario", scenarios(2), ids=lambda scenario: scenario.name)
def test_no_interleaving_of_two_readers_and_two_writers_answers_too_old(scenario: Scenario) -> None:
    found = explore(scenario, CORRECT)
    assert found.violation is None
    assert found.states > 5_000


@pytest.mark.parametrize("variant", BROKEN, ids=lambda variant: variant.name)
def test_every_broken_variant_is_caught(variant: Variant) -> None:
    small_first = [*scenarios(2, 1), *scenarios(3, 1)]
    assert any(explore(scenario, variant).violation for scenario in small_first)


def test_cold_key_is_loaded_once_where_nothing_is_lost_and_nobody_writes() -> None:
    cold = scenarios(3, 0)[0]
    found = explore(Scenario(cold.name, cold.world, readers=3, writers=0, drops=0), CORRECT)
    assert (found.violation, found.most_loads_when_calm) == (None, 1)
