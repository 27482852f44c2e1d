"""A shop on each kind of cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.settings import DatabaseSettings
from tests.component.support.cache_servers import CacheServer, settings_of
from tests.component.support.verifier_shop import CHEAP, GIFT, Shop


@pytest.fixture
def shop(
    tmp_path: Path,
    cache_server: CacheServer,
    plain_client: Any,
    database_settings: DatabaseSettings,
    outbox_settings: DatabaseSettings,
    sql: Callable[..., Any],
) -> Iterator[Shop]:
    sql("create table gifts (id integer primary key, price numeric not null)")
    try:
        sql("insert into gifts select id, id from generate_series(1, 300) as id")
        sql("select cacheaside.watch('gifts')")
        cache, database = VerifiedCache(settings_of(cache_server)), Queries(database_settings)
        shop = Shop(tmp_path, cache, database, Outbox(outbox_settings), sql)
        shop.write_queries(gift=GIFT, cheap=CHEAP)
        shop.drain()
        yield shop
    finally:
        sql("drop table gifts")
