"""Selects the choices of parameters that the tests try: every allowed pair of values, in few stacks.

A choice gives each dimension one value. Every allowed combination of the core, the dimensions that decide what is
created, is tried. Each other dimension gets the value that completes the most pairs not yet tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
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

    `allowed` is asked about choices of some dimensions only; it takes the defaults of the others. The same arguments
    give the same choices in the same order.
    """
    allowed = _remembered(allowed)
    cores = [choice for choice in _combinations(core) if allowed(choice)]
    left = set(_allowed_pairs(cores, free, allowed))
    chosen = []
    for start in cores:
        chosen.append(_fill(start, free, left, allowed))
        left.difference_update(pairs(chosen[-1]))
    while left:
        wanted = dict(min(left, key=sorted))
        starts = [start | wanted for start in cores if all(start.get(d, v) == v for d, v in wanted.items())]
        candidates = [_fill(start, free, left, allowed) for start in starts if allowed(start)]
        chosen.append(max(candidates, key=lambda choice: len(left.intersection(pairs(choice)))))
        left.difference_update(pairs(chosen[-1]))
    return chosen


def _combinations(dimensions: Mapping[str, Sequence[str]]) -> Iterator[Choice]:
    return (dict(zip(dimensions, values, strict=True)) for values in product(*dimensions.values()))


def _allowed_pairs(
    cores: Sequence[Choice], free: Mapping[str, Sequence[str]], allowed: Callable[[Choice], bool]
) -> Iterator[Pair]:
    values = [(dimension, value) for dimension, values in free.items() for value in values]
    for core in cores:
        yield from pairs(core)
        yield from (frozenset(pair) for pair in product(core.items(), values) if allowed(core | dict(pair)))
    for one, other in combinations(values, 2):
        if one[0] != other[0] and any(allowed(core | dict([one, other])) for core in cores):
            yield frozenset([one, other])


def _remembered(allowed: Callable[[Choice], bool]) -> Callable[[Choice], bool]:
    remember = cache(lambda items: allowed(dict(items)))
    return lambda choice: remember(frozenset(choice.items()))


def _fill(
    start: Choice, free: Mapping[str, Sequence[str]], left: set[Pair], allowed: Callable[[Choice], bool]
) -> Choice:
    choice = dict(start)
    for dimension, values in free.items():
        if dimension not in choice:
            possible = [value for value in values if allowed(choice | {dimension: value})]
            choice[dimension] = max(possible, key=lambda value: _gain(choice, (dimension, value), left))
    return choice


def _gain(choice: Choice, item: tuple[str, str], left: set[Pair]) -> int:
    return sum(frozenset((item, other)) in left for other in choice.items())
