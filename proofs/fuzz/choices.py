"""Cases that are made of a string of bytes: each byte decides one choice.

To draw a string of bytes takes much less time than to draw each choice. Hypothesis makes it small byte by byte, and a
byte of zero is the first option. So the first option of each choice should be the simplest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["Choices", "made"]

_T = TypeVar("_T")


class Choices:
    """The choices that `data` decides. After its end, each choice is the first option."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def of(self, options: Sequence[_T]) -> _T:
        """Return one of at most 256 options."""
        return options[next(self._bytes, 0) % len(options)]

    def some(self, make: Callable[[], _T], at_most: int) -> list[_T]:
        """Return a list of `at_most` items, or fewer, or none."""
        return [make() for _ in range(self.of(range(at_most + 1)))]

    def once_in(self, times: int) -> bool:
        """Return whether something rare is to happen."""
        return self.of(range(times)) == times - 1

    def character(self) -> str:
        """Return any character that UTF-8 has."""
        number = int.from_bytes([next(self._bytes, 0) for _ in range(3)], "big")
        number %= self.of((0x80, 0x800, 0x1_0000, 0x11_0000))
        return "\ufffd" if 0xD800 <= number < 0xE000 else chr(number)


def made(make: Callable[[Choices], _T], size: int) -> st.SearchStrategy[_T]:
    """Return what `make` makes of random choices, `size` of them."""
    return st.binary(min_size=size, max_size=size).map(lambda data: make(Choices(data)))
