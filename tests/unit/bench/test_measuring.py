"""Ratios are of blocks of the same round, and each contender has a block in each round."""

from __future__ import annotations

import pytest

from bench.measuring import Block, Spread, interleaved, percentile, spread, spread_of_ratios, timed


def test_a_disturbance_of_a_whole_round_cancels_out() -> None:
    disturbance = [1, 1, 10, 1, 1]
    ours, theirs = [3.0 * each for each in disturbance], [2.0 * each for each in disturbance]
    assert spread_of_ratios(ours, theirs) == Spread(1.5, 1.5, 1.5)


def test_each_contender_has_a_block_in_each_round_and_one_before() -> None:
    calls: list[str] = []

    def contender(name: str) -> Block:
        calls.append(name)
        return Block(1, [1])

    blocks = interleaved({"a": lambda _: contender("a"), "b": lambda _: contender("b")}, 3, 7, lambda *_: None)
    assert {name: len(of_one) for name, of_one in blocks.items()} == {"a": 3, "b": 3}
    assert [set(calls[at : at + 2]) for at in range(0, len(calls), 2)] == [{"a", "b"}] * 4


def test_a_block_times_each_call() -> None:
    calls: list[None] = []
    block = timed(lambda: calls.append(None))(5)
    assert len(calls) == len(block.wall_us) == 5
    assert all(us > 0 for us in (*block.wall_us, block.cpu_us))


@pytest.mark.parametrize(("share", "expected"), [(0.05, 1), (0.5, 10), (0.51, 11), (0.95, 19), (0.99, 20)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile(range(1, 21), share) == expected


def test_nine_tenths_of_the_values_are_within_the_spread() -> None:
    assert spread([float(each) for each in range(1, 101)]) == Spread(50.5, 5, 95)
