"""Room for new answers: so many at once, then one each interval, counted by the server for all its clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.reading.keys import new_key, question_keys
from cacheaside.reading.steps import Admission, Store
from tests.component.support.cache_driver import KEYS, SEEDS, TAGS, acquire_step
from tests.support.wait_until import wait_until

NEW = new_key("top_products")
DAY_US = 86_400_000_000


def admitted(cache: Cache, number: int, admission: Admission) -> bool:
    keys = question_keys("top_products", number.to_bytes(16, "big"), TAGS[:1])
    step = acquire_step(number.to_bytes(16, "big"), keys)._replace(admission=admission)
    acquired = cache.acquire(step)
    assert acquired.won
    return acquired.admitted


def test_all_clients_together_find_room_for_so_many(new_cache: Callable[[], Cache], plain_client: Any) -> None:
    ten_a_day = Admission(NEW, DAY_US // 10, DAY_US)
    caches = [new_cache(), new_cache()]
    for number in range(100, 140):  # so that each node of a cluster knows the scripts: else some run twice
        admitted(caches[0], number, ten_a_day)
    plain_client.delete(NEW)
    assert [admitted(caches[number % 2], number, ten_a_day) for number in range(14)] == [True] * 10 + [False] * 4
    assert 0 < plain_client.pttl(NEW) <= DAY_US / 1_000


def test_room_comes_back_with_time(cache: Cache) -> None:
    five_a_second = Admission(NEW, 200_000, 200_000)
    assert admitted(cache, 1, five_a_second)
    numbers = iter(range(2, 10_000))
    wait_until(lambda: admitted(cache, next(numbers), five_a_second))


def test_full_room_leaves_no_key(cache: Cache, plain_client: Any) -> None:
    assert admitted(cache, 1, Admission(NEW, 1, 1_000_000))
    wait_until(lambda: not plain_client.exists(NEW))


@pytest.mark.parametrize("value", [b"", b"x", b"nan", b"inf", b"-inf", b"9" * 300, b"0x7fffffffffffffff", b"1e308"])
def test_foreign_value_counts_as_none(cache: Cache, plain_client: Any, value: bytes) -> None:
    plain_client.set(NEW, value)
    assert admitted(cache, 1, Admission(NEW, 1_000_000, 10_000_000))
    assert 0 < plain_client.pttl(NEW) <= 10_000


def test_foreign_list_counts_as_none(cache: Cache, plain_client: Any) -> None:
    plain_client.rpush(NEW, "x")
    assert admitted(cache, 1, Admission(NEW, 1_000_000, 10_000_000))


def test_store_prolongs_tags_that_were_made_for_a_new_answer(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(SEEDS[0], tag_ms=30_000))
    assert cache.store(Store(KEYS, SEEDS[0], b"answer", 60_000, tag_ms=90_000))
    assert all(60_000 < plain_client.pttl(tag) <= 90_000 for tag in KEYS.tags)
    cache.acquire(acquire_step(SEEDS[1], tag_ms=30_000))
    assert cache.store(Store(KEYS, SEEDS[1], b"answer", 60_000, tag_ms=40_000))
    assert all(plain_client.pttl(tag) > 40_000 for tag in KEYS.tags), "never shortened"


def test_first_store_on_a_server_that_knows_no_script_tells_that_it_stored(cache: Cache, plain_client: Any) -> None:
    cache.acquire(acquire_step(SEEDS[0]))
    plain_client.script_flush()
    assert cache.store(Store(KEYS, SEEDS[0], b"answer", 60_000, tag_ms=90_000))
