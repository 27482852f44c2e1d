"""A case is made of a string of bytes, each of which decides one choice. So a case can be repeated, and made small."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

__all__ = ["Choices"]

_T = TypeVar("_T")


class Choices:
    """The choices that `data` decides. After its end, each choice is the first option, which is the simplest."""

    def __init__(self, data: Iterable[int]) -> None:
        self._bytes = iter(data)
        self._used = bytearray()

    @classmethod
    def at_random(cls, seed: int) -> Choices:
        """Return choices without an end, the same for each `seed`."""
        bits = random.Random(seed).getrandbits
        return cls(iter(lambda: bits(8), None))

    @property
    def used(self) -> bytes:
        """The bytes that have decided something."""
        return bytes(self._used).rstrip(b"\0")

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        number = 0
        for _ in range((limit - 1).bit_length() + 7 >> 3):
            byte = next(self._bytes, 0)
            self._used.append(byte)
            number = number << 8 | byte
        return number % limit

    def of(self, options: Sequence[_T]) -> _T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def size(self, at_least: int, at_most: int) -> int:
        """Return a size, which is more often small than large."""
        return at_least + self.below(self.below(at_most - at_least + 1) + 1)

    def some(self, make: Callable[[], _T], at_most: int) -> list[_T]:
        """Return a list of `at_most` items, or fewer, or none."""
        return [make() for _ in range(self.below(at_most + 1))]

    def once_in(self, times: int) -> bool:
        """Return whether something rare is to happen."""
        return self.below(times) == times - 1
