"""Measures every query of the catalogue over HTTP: once cold, once warm."""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from local.errors import LocalError
from local.examples import example_path

__all__ = ["QueryTimes", "format_table", "measure_queries"]

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class QueryTimes:
    """The times of two calls. `status` and `cache_status` are those of the second one."""

    query: str
    miss_ms: float
    hit_ms: float
    status: int
    cache_status: str

    @property
    def is_hit(self) -> bool:
        """Whether Cache-Status has the parameter `hit` (RFC 9211)."""
        parameters = [part.strip() for part in self.cache_status.split(";")]
        return self.status == 200 and "hit" in parameters[1:]


def measure_queries(api_url: str, cache_url: str) -> Iterator[QueryTimes]:
    """Call each query twice. Deletes the keys of earlier runs from the cache before, and no others.

    Raises `LocalError` if the API fails, or a required parameter has no example.
    """
    with redis.from_url(cache_url) as cache:
        for key in cache.scan_iter("cacheaside:*", count=1000):
            cache.delete(key)
    client = http.client.HTTPConnection(urlsplit(api_url).netloc, timeout=TIMEOUT_S)
    _, response, body = _get(client, "/queries")
    if response.status != 200:
        raise LocalError(f"GET /queries answered {response.status}: the log of the query function says why")
    queries = json.loads(body)["data"]
    for query in queries:
        path = example_path(query)
        miss_ms, _, _ = _get(client, path)
        hit_ms, response, _ = _get(client, path)
        yield QueryTimes(query["name"], miss_ms, hit_ms, response.status, response.headers.get("Cache-Status", ""))
    client.close()


def format_table(rows: list[QueryTimes]) -> str:
    """Return a line for each row, or one that says that there is none."""
    if not rows:
        return "The catalogue has no queries yet: put a .sql file into functions/catalogue/queries"
    head = ("query", "miss ms", "hit ms", "ratio", "Cache-Status of the second call")
    cells = [
        (row.query, f"{row.miss_ms:,.1f}", f"{row.hit_ms:,.1f}", f"{row.miss_ms / row.hit_ms:,.0f}×", _outcome(row))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(4)]
    rule = tuple("─" * width for width in (*widths, len(head[4])))
    return "\n".join(
        f"{query:<{widths[0]}}  {miss:>{widths[1]}}  {hit:>{widths[2]}}  {ratio:>{widths[3]}}  {status}"
        for query, miss, hit, ratio, status in (head, rule, *cells)
    )


def _outcome(row: QueryTimes) -> str:
    answer = row.cache_status or "none" if row.status == 200 else f"answered {row.status}"
    return answer if row.is_hit else f"{answer}  ← not a hit"


def _get(client: http.client.HTTPConnection, path: str) -> tuple[float, http.client.HTTPResponse, bytes]:
    started = time.perf_counter()
    client.request("GET", path)
    response = client.getresponse()
    body = response.read()
    return (time.perf_counter() - started) * 1000, response, body
