"""Makes a case small that breaks a property: fewer bytes of choices, or smaller ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

__all__ = ["smallest"]


def smallest(still_fails: Callable[[bytes], bytes | None], data: bytes, seconds: float) -> bytes:
    """Return the smallest data for which it still fails, as far as `seconds` are enough to find it.

    `still_fails` returns the part of the data that the case was made of, or None.
    """
    ends = time.monotonic() + seconds
    while (smaller := _next(still_fails, data, ends)) is not None:
        data = smaller
    return data


def _next(still_fails: Callable[[bytes], bytes | None], data: bytes, ends: float) -> bytes | None:
    for candidate in _candidates(data):
        if time.monotonic() > ends:
            return None
        used = still_fails(candidate)
        if used is not None and (len(used), used) < (len(data), data):
            return used
    return None


def _candidates(data: bytes) -> Iterator[bytes]:
    size = len(data)
    while size:
        for at in range(0, len(data), size):
            before, piece, after = data[:at], data[at : at + size], data[at + size :]
            yield before + after
            if any(piece):
                yield before + bytes(len(piece)) + after
        size //= 2
    for at, byte in enumerate(data):
        for less in {byte // 2, byte - 1} if byte > 1 else ():
            yield data[:at] + bytes([less]) + data[at + 1 :]
