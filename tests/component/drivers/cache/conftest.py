"""The cache driver on each kind of cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from tests.component.support.cache_servers import CacheServer, settings_of


@pytest.fixture
def new_cache(cache_server: CacheServer, plain_client: Any) -> Callable[[], Cache]:
    """Returns the cache driver of another sandbox."""
    return lambda: Cache(settings_of(cache_server))


@pytest.fixture
def cache(new_cache: Callable[[], Cache]) -> Cache:
    return new_cache()
