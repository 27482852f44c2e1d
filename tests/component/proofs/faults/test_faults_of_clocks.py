"""Wall clocks that jump. Durations do not."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest
import redis

from local.servers.processes import HOST
from proofs.chaos.faults.clock import CLOCK_FAULTS
from proofs.chaos.stack import ChaosStack
from tests.component.support.one_fault import injected
from tests.support.wait_until import wait_until

JUMP_S = 4  # the shortest has 5 s


def test_both_directions_are_tried() -> None:
    whose = ("clocks of sandboxes", "clock of the cache")
    assert {fault.name for fault in CLOCK_FAULTS} == {
        f"{each} set {way}" for each in whose for way in ("forward", "back")
    }


@pytest.mark.parametrize(("way", "sign"), [("forward", 1), ("back", -1)])
def test_clocks_of_some_sandboxes_jump(stack: ChaosStack, sandboxes: dict[str, Any], way: str, sign: int) -> None:
    def jumped() -> list[bool]:
        return [sign * (told_s(process) - time.time()) > JUMP_S for process in sandboxes.values()]

    with injected(stack, f"clocks of sandboxes set {way}"):
        assert sorted(jumped()) == [False, True, True]
    assert not any(jumped())


def told_s(process: Any) -> float:
    process.stdin.write("\n")
    return int(process.stdout.readline()) / 1e9


@pytest.mark.parametrize(("way", "sign"), [("forward", 1), ("back", -1)])
def test_clock_of_the_cache_jumps(stack: ChaosStack, way: str, sign: int) -> None:
    with closing(redis.Redis(HOST, stack.cache.nodes[0].port)) as client:

        def ahead_s() -> float:
            return sign * (client.time()[0] - time.time())

        with injected(stack, f"clock of the cache set {way}"):
            wait_until(lambda: ahead_s() > JUMP_S)
        wait_until(lambda: abs(ahead_s()) < JUMP_S)
