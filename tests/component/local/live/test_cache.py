"""Scanning a real server for entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import UnknownStatement
from local.errors import LocalError
from local.live.cache import open_cache
from local.live.entries import last_read
from local.servers.valkey import ValkeyServer
from tests.support.cached_thing import found, question


@pytest.fixture
def lfu(new_folder: Callable[[str], Path]) -> Iterator[ValkeyServer]:
    with ValkeyServer(new_folder("lfu"), settings={"maxmemory-policy": "volatile-lfu"}) as server:
        yield server


def test_every_entry_of_a_query_is_found_among_many_keys(lfu: ValkeyServer) -> None:
    with redis.from_url(lfu.url) as client:
        client.mset({f"cacheaside:tag:other:{number}": b"x" for number in range(1_000)})
        client.mset({f"cacheaside:entry:{{a*c:{number}}}": b"x" for number in range(250)})
        client.set("cacheaside:entry:{abc:1}", b"x")
    with open_cache(lfu.url) as cache:
        assert len({each.key for each in cache.entries("a*c")}) == 250
        assert cache.complete
        assert len([*cache.entries(None)]) == 251


def test_a_server_that_does_not_tell_when_keys_were_read_is_no_guess(lfu: ValkeyServer) -> None:
    asked = question()
    with redis.from_url(lfu.url) as client:
        client.set(asked.keys.entry, found(asked).value)
    with open_cache(lfu.url) as cache:
        [entry] = cache.entries("thing")
        assert entry.idle_s is None
    with pytest.raises(LocalError, match="does not tell when answers were read, as with an LFU policy"):
        last_read(lfu.url, Catalogue({"thing": asked.query}, {}), ["thing"], 1)


def test_an_unknown_query_is_no_empty_list(lfu: ValkeyServer) -> None:
    query = Query("thing", "", "", "many", 1, {}, (), Policy(1))
    with pytest.raises(UnknownStatement, match=r"there is no query thingz; did you mean thing\?"):
        last_read(lfu.url, Catalogue({"thing": query}, {}), ["thingz"], 1)
