"""Selects the choices of parameters that the tests try: every allowed pair of values, in few stacks.

A choice gives each dimension one value. The dimensions of the core exclude some values of each other; every allowed
combination of the core is tried. Each other dimension gets the value that completes the most pairs not yet tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product

Choice = dict[str, str]
Pair = frozenset[tuple[str, str]]


def pairs(choice: Choice) -> Iterator[Pair]:
    """Return the pairs of values in `choice`."""
    return map(frozenset, combinations(choice.items(), 2))


def choose(
    core: Mapping[str, Sequence[str]], free: Mapping[str, Sequence[str]], allowed: Callable[[Choice], bool]
) -> list[Choice]:
    """Return choices that contain each allowed combination of `core` and each allowed pair of all values.

    The same arguments give the same choices in the same order.
    """
    cores = [choice for choice in _combinations(core) if allowed(choice)]
    left = set(_allowed_pairs(cores, free))
    chosen = []
    for start in cores:
        chosen.append(_fill(start, free, left))
        left.difference_update(pairs(chosen[-1]))
    while left:
        wanted = dict(min(left, key=sorted))
        starts = [start | wanted for start in cores if all(start.get(d, v) == v for d, v in wanted.items())]
        candidates = [_fill(start, free, left) for start in starts]
        chosen.append(max(candidates, key=lambda choice: len(left.intersection(pairs(choice)))))
        left.difference_update(pairs(chosen[-1]))
    return chosen


def _combinations(dimensions: Mapping[str, Sequence[str]]) -> Iterator[Choice]:
    return (dict(zip(dimensions, values, strict=True)) for values in product(*dimensions.values()))


def _allowed_pairs(cores: Sequence[Choice], free: Mapping[str, Sequence[str]]) -> Iterator[Pair]:
    values = [(dimension, value) for dimension, values in free.items() for value in values]
    yield from (frozenset(pair) for pair in combinations(values, 2) if pair[0][0] != pair[1][0])
    for core in cores:
        yield from pairs(core)
        yield from (frozenset(pair) for pair in product(core.items(), values))


def _fill(start: Choice, free: Mapping[str, Sequence[str]], left: set[Pair]) -> Choice:
    choice = dict(start)
    for dimension, values in free.items():
        if dimension not in choice:
            choice[dimension] = max(values, key=lambda value: _gain(choice, (dimension, value), left))
    return choice


def _gain(choice: Choice, item: tuple[str, str], left: set[Pair]) -> int:
    return sum(frozenset((item, other)) in left for other in choice.items())
