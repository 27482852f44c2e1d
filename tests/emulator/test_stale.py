"""A stale answer in a container: sent as it is, and refreshed before the next request."""

from __future__ import annotations

import redis

from cacheaside.reading.entry import decode, encode
from local.containers.emulator import Emulator
from local.event_of_request import event_of_request
from local.stack import Stack
from local.template import read_template
from tests.support.root import ROOT

EVENT = event_of_request(read_template(ROOT / "template.yaml"), "GET", "/queries/revenue_by_month")


def test_stale_answer_is_refreshed_after_it_was_sent(lambdas: Emulator, stack: Stack) -> None:
    lambdas.invoke(*EVENT)
    with redis.Redis.from_url(stack.cache_url) as client:
        [key] = client.keys("cacheaside:entry:{revenue_by_month:*")
        entry = decode(client.get(key))
        assert entry is not None
        past_ms = entry.fresh_until_ms - entry.created_ms + 1_000
        old = entry._replace(created_ms=entry.created_ms - past_ms, fresh_until_ms=entry.fresh_until_ms - past_ms)
        client.set(key, encode(old), px=600_000)

        stale = lambdas.invoke(*EVENT)
        assert stale["headers"]["Cache-Status"].startswith("cacheaside; hit; ttl=-"), stale
        assert "db;dur" not in stale["headers"]["Server-Timing"]
        refreshed = decode(client.get(key))
        assert refreshed is not None
        assert refreshed.created_ms > entry.created_ms
    fresh = lambdas.invoke(*EVENT)
    assert fresh["headers"]["Cache-Status"].startswith("cacheaside; hit; ttl=2"), fresh
