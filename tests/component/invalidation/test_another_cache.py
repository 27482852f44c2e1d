"""Another `CacheType` gives the functions another cache: for a while, old and new versions use different ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.invalidation.drain import Drainer
from tests.component.support.api import Api
from tests.component.support.cache_servers import CacheServer, settings_of
from tests.component.support.sql import Sql

pytestmark = pytest.mark.parametrize("valkey", ["cluster-8"], indirect=True)

PRODUCT = "/queries/product?id=7"


@pytest.fixture
def old_drainer(outbox: Outbox, cache_servers: Callable[[str], CacheServer]) -> Drainer:
    return Drainer(outbox, Cache(settings_of(cache_servers("node-8"))))


@pytest.fixture
def new_drainer(outbox: Outbox, valkey: CacheServer) -> Drainer:
    return Drainer(outbox, Cache(settings_of(valkey)))


def test_changes_that_the_old_version_drained_are_replayed_into_the_new_cache(
    api: Api, sql: Sql, old_drainer: Drainer, new_drainer: Drainer
) -> None:
    old = api.get(PRODUCT)
    sql("update products set price = price + 1 where id = 7")
    assert old_drainer.drain().rows == 1
    assert api.get(PRODUCT).body == old.body, "it was invalidated in the old cache only"
    drained = new_drainer.drain()
    assert (drained.rows, drained.replayed) == (1, 1)
    assert api.get(PRODUCT).body != old.body


def test_emptying_the_cache_makes_up_for_what_an_old_command_marks_as_drained_after_the_replay(
    api: Api, sql: Sql, new_drainer: Drainer
) -> None:
    new_drainer.drain()
    old = api.get(PRODUCT)
    sql("update products set price = price + 1 where id = 7")
    sql("update cacheaside.outbox set drained_at = now()")
    new_drainer.drain()
    assert api.get(PRODUCT).body == old.body, "no replay comes any more"
    sql("insert into cacheaside.outbox (change) select tag from cacheaside.names")
    new_drainer.drain()
    assert api.get(PRODUCT).body != old.body
