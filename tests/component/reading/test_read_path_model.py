"""The read path on a real cache, against a model: whatever happens between two steps, no answer is too old.

Hypothesis is the scheduler. It pauses any number of reads between two of their steps, which the real driver does on
Valkey. Meanwhile it writes, evicts, lets time pass, loses replies and kills readers. A second machine also puts rubbish
under any key. Two machines that are wrong on
purpose show that it would find an answer that is too old.

The explorer (proofs/explorer) tries every interleaving of few actors on a model of the cache. This test tries some
interleavings of many actors on the cache itself.

Keys have real lifetimes, of 12 s at least, but a read sees only the clock of the test: no outcome depends on the speed
of this machine. A key expires when the test deletes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cacheaside.drivers.cache.cache import Cache
from tests.component.support.cache_servers import client_of, settings_of
from tests.component.support.read_path_machine import OneToken, ReadPathMachine, TooOld, VersionsAtStore
from tests.component.support.rubbish_machine import RubbishMachine

SETTINGS: Final = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture
def driver_and_client(cache_server: Any) -> Iterator[tuple[Cache, Any]]:
    """The driver, and a plain client of the same cache."""
    with client_of(cache_server) as client:
        yield Cache(settings_of(cache_server)), client


def run(machine: type[ReadPathMachine], driver_and_client: tuple[Cache, Any], search: settings) -> None:
    factory: Any = lambda: machine(*driver_and_client)  # noqa: E731 - Hypothesis declares a type here
    run_state_machine_as_test(factory, settings=search)


@pytest.mark.parametrize("machine", [ReadPathMachine, RubbishMachine])
def test_no_answer_is_too_old(driver_and_client: tuple[Cache, Any], machine: type[ReadPathMachine]) -> None:
    run(machine, driver_and_client, SETTINGS)


@pytest.mark.parametrize("cache_server", ["node-8"], indirect=True)  # one is enough: this proves the machine
@pytest.mark.parametrize("wrong", [VersionsAtStore, OneToken])
def test_machine_finds_a_too_old_answer_of_a_wrong_read_path(
    driver_and_client: tuple[Cache, Any], wrong: type[ReadPathMachine]
) -> None:
    # Always the same examples. The first that shows the error is enough.
    search = settings(SETTINGS, max_examples=3_000, derandomize=True, phases=[Phase.generate])
    with pytest.raises(TooOld):
        run(wrong, driver_and_client, search)
