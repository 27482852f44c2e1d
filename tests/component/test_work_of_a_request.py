"""The work of a request, in counts. Time is not measured, because machines are noisy; a count is the same everywhere.

A change that makes a request do more, or less, has to write the new number here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest
import redis

from bench.fault_proxy import FaultProxy, fault_proxy
from local.event_of_request import event_of_request
from local.servers.postgres import PostgresServer
from local.template import read_template
from tests.component.support.api import Api, lambda_context
from tests.component.support.cache_servers import CacheServer
from tests.support.root import FUNCTIONS, ROOT

# By Python's own functions the number would depend on its version, so these are ours and redis-py's.
CALLS_OF_A_HIT: Final = 104
CALLS_MAY_DIFFER: Final = 0.05
BYTES_OF_A_HIT: Final = 30


class Servers(NamedTuple):
    """The API, and proxies that count the requests to each server."""

    api: Api
    cache: FaultProxy
    database: FaultProxy

    def round_trips(self, act: Callable[[], Any]) -> tuple[int, int]:
        """Return how often `act` asks the cache and the database."""
        before = self.cache.requests, self.database.requests
        act()
        return self.cache.requests - before[0], self.database.requests - before[1]


@pytest.fixture
def servers(start_api: Any, valkey: CacheServer, client: redis.Redis, postgres: PostgresServer) -> Iterator[Servers]:
    with fault_proxy(valkey.url) as (cache, cache_url), fault_proxy(postgres.url) as (database, database_url):
        api = start_api(cache_url=cache_url, database_url=database_url)
        # Connections are opened, and scripts loaded, once in the life of a sandbox.
        api.get("/queries/product?id=1")
        api.post("/commands/set_price", {"id": 1, "price": 1})
        yield Servers(api, cache, database)


def test_round_trips(servers: Servers) -> None:
    product = lambda: servers.api.get("/queries/product?id=2")  # noqa: E731 - asked twice
    assert servers.round_trips(product) == (3, 1), "a miss: look, acquire, store; and the query"
    assert servers.round_trips(product) == (1, 0), "a hit: look"
    write = lambda: servers.api.post("/commands/set_price", {"id": 2, "price": 3})  # noqa: E731
    assert servers.round_trips(write) == (1, 5), "begin, run, commit, read its changes; invalidate them; mark them"


def test_function_calls_of_a_hit(api: Api) -> None:
    hit = hit_of(api)
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        # Comprehensions are functions before Python 3.12.
        if event == "call" and not frame.f_code.co_name.startswith("<") and is_counted(Path(file)):
            calls[f"{Path(file).name}:{frame.f_code.co_name}"] += 1

    sys.setprofile(count)
    try:
        hit()
    finally:
        sys.setprofile(None)
    listed = "\n".join(f"{number:3} {name}" for name, number in sorted(calls.items()))
    assert calls.total() == pytest.approx(CALLS_OF_A_HIT, rel=CALLS_MAY_DIFFER), f"{calls.total()} calls:\n{listed}"


def test_bytes_that_a_hit_logs(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hit, now_ms, hits = hit_of(api), iter(range(0, 10**9, 100)), 100  # ten a second
    metrics = api.module("QueryFunction").metrics._metrics
    monkeypatch.setattr(metrics, "_now_ms", lambda: next(now_ms))
    capsys.readouterr()
    for _ in range(hits):
        hit()
    logged = capsys.readouterr()
    lines = logged.out.splitlines()
    assert sum(len(json.loads(line)["CacheTime"]) for line in lines) in range(hits - 10, hits + 10), (
        "each has its value"
    )
    assert len(logged.out) + len(logged.err) <= BYTES_OF_A_HIT * hits


def hit_of(api: Api) -> Callable[[], object]:
    """Return a call of the handler that is a hit."""
    _, event = event_of_request(read_template(ROOT / "template.yaml"), "GET", "/queries/product?id=42")
    handler, context = api.module("QueryFunction").handler, lambda_context("QueryFunction")
    for _ in range(2):
        response = handler(event, context)
    assert "; hit" in response["headers"]["Cache-Status"]
    return lambda: handler(event, context)


def is_counted(file: Path) -> bool:
    return file.is_relative_to(ROOT / "layers") or file.is_relative_to(FUNCTIONS) or "redis" in file.parts
