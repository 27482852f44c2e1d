"""Steps for the cache driver, and checks that it gives up in time and recovers."""

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
from tests.component.support.timeouts import production_timeouts_of

__all__ = ["KEYS", "TAGS", "acquire_step", "assert_unavailable_soon", "cache_at", "retry_until_available"]

TAGS = ("orders", "products", "customers", "products:42")
KEYS = question_keys("top_products", bytes(16), TAGS)
SEEDS = tuple(bytes([number]) * 16 for number in range(1, 1 + len(TAGS)))

_SOON_S = CALL_S + 2 * _OPENING_S
# If this machine stops for a second, the call is tried again: a driver that waits too long does so each time.
_TRIES = 10
_AVAILABLE_WITHIN_S = 60


def acquire_step(token: bytes, keys: Keys = KEYS, tag_ms: int = 60_000) -> Acquire:
    return Acquire(keys, token, SEEDS[: len(keys.tags)], tag_ms)


def cache_at(url: str, mode: CacheMode = CacheMode.NODE) -> Cache:
    return Cache(CacheSettings(url=url, authentication=Authentication.URL, region="", name="", mode=mode))


def assert_unavailable_soon(act: Callable[[], object]) -> None:
    """Check that `act` raises CacheUnavailable each time, and at least once within the timeouts of production."""

    def took_s() -> float:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            act()
        return time.monotonic() - began

    with production_timeouts_of("cache"):
        assert any(took_s() < _SOON_S for _ in range(_TRIES))


def retry_until_available(act: Callable[[], Any]) -> Any:
    """Return the result of `act` once the cache is available. Nodes of a cluster must first find each other again."""
    deadline = time.monotonic() + _AVAILABLE_WITHIN_S
    while True:
        try:
            return act()
        except CacheUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
