"""What the driver is asked, and how it is seen to give up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.cache.deadline import _OPENING_S, CALL_S
from cacheaside.errors import CacheUnavailable
from cacheaside.reading.keys import Keys, question_keys
from cacheaside.reading.steps import Acquire
from cacheaside.settings import Authentication, CacheMode, CacheSettings
from tests.component.support.patience import impatience

__all__ = ["KEYS", "TAGS", "VERSIONS", "cache_at", "eventually", "take", "unavailable_soon"]

TAGS = ("orders", "products", "customers", "products:42")
KEYS = question_keys("top_products", "select 1", {}, TAGS)
VERSIONS = tuple(bytes([number]) * 16 for number in range(1, 1 + len(TAGS)))

_SOON_S = CALL_S + 2 * _OPENING_S
# If this machine stops for a second, we try again: a driver that waits longer does so each time.
_TRIES = 10
_EVENTUALLY_S = 60


def take(token: bytes, keys: Keys = KEYS, lease_ms: int = 60_000, tag_ms: int = 60_000) -> Acquire:
    return Acquire(keys, token, lease_ms, VERSIONS[: len(keys.tags)], tag_ms)


def cache_at(url: str, mode: CacheMode = CacheMode.NODE) -> Cache:
    return Cache(CacheSettings(url=url, authentication=Authentication.URL, region="", name="", mode=mode))


def unavailable_soon(act: Callable[[], object]) -> None:
    """See that `act` finds the cache away each time, and that it does not wait for long."""

    def took_s() -> float:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            act()
        return time.monotonic() - began

    with impatience("cache"):
        assert any(took_s() < _SOON_S for _ in range(_TRIES))


def eventually(act: Callable[[], Any]) -> Any:
    """The result of `act` as soon as the cache is there again: nodes that were away must first find each other."""
    until = time.monotonic() + _EVENTUALLY_S
    while True:
        try:
            return act()
        except CacheUnavailable:
            if time.monotonic() > until:
                raise
        time.sleep(0.05)
