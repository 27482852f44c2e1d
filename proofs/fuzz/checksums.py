"""Data with a CRC-32 of one's choice, as a writer to the cache can make it."""

from __future__ import annotations

__all__ = ["suffix"]


def suffix(checksum: int, wanted: int) -> bytes:
    """Return the four bytes after which data with the CRC-32 `checksum` has the CRC-32 `wanted`."""
    table = [_shifted(each) for each in range(256)]
    top = {entry >> 24: number for number, entry in enumerate(table)}
    state, numbers = wanted ^ 0xFFFFFFFF, []
    for _ in range(4):
        number = top[state >> 24]
        numbers.append(number)
        state = ((state ^ table[number]) << 8) & 0xFFFFFFFF
    state, suffix = checksum ^ 0xFFFFFFFF, bytearray()
    for number in reversed(numbers):
        suffix.append((state ^ number) & 0xFF)
        state = table[number] ^ (state >> 8)
    return bytes(suffix)


def _shifted(number: int) -> int:
    for _ in range(8):
        number = (number >> 1) ^ (0xEDB88320 if number & 1 else 0)
    return number
