"""The breaker before the cache of commands: when a command asks the cache, and when it says "pending" at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from cacheaside.drivers.cache.exchange import NotReplicated
from cacheaside.drivers.guarded_tags import TAGS, GuardedTagCache
from cacheaside.errors import CacheUnavailable


class Tags:
    """A cache that raises `error`, or invalidates. Counts its calls. The clock of its breaker is `now_ms`."""

    def __init__(self, error: CacheUnavailable | None) -> None:
        self.error, self.calls, self.now_ms = error, 0, 1_000_000
        self.guarded = GuardedTagCache(cast("Any", self), lambda: self.now_ms, lambda: 0.0)

    def invalidate_tags(self, tags: Sequence[str]) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return len(tags)

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(CacheUnavailable):
                self.guarded.invalidate_tags(["products"])


def test_command_does_not_wait_for_a_cache_that_did_not_answer_twice() -> None:
    cache = Tags(CacheUnavailable("no reply"))
    cache.fail(5)
    assert cache.calls == 2


def test_first_command_after_the_pause_asks_the_cache_itself() -> None:
    cache = Tags(CacheUnavailable("no reply"))
    cache.fail(2)
    cache.now_ms += TAGS.pause_ms
    cache.fail(5)  # one of them asks, and the pause is doubled
    assert cache.calls == 3
    cache.error = None
    cache.now_ms += 2 * TAGS.pause_ms
    assert [cache.guarded.invalidate_tags(["products"]) for _ in range(3)] == [1, 1, 1]


def test_replicas_that_do_not_confirm_open_no_breaker() -> None:
    """The primary, which readers ask, has invalidated the tags. A command that did not ask it would be worse."""
    cache = Tags(CacheUnavailable("the cache did not answer"))
    cache.error.__cause__ = NotReplicated("0 of 1 replicas have confirmed")
    cache.fail(5)
    assert cache.calls == 5
