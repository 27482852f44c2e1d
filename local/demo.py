"""Measures every query of the catalogue over HTTP: once cold, once warm."""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import redis

from local import ROOT
from local.cli.output import table
from local.errors import LocalError
from local.examples import example_path
from local.serving import serving
from local.template import read_template
from local.terminal import print_line

__all__ = ["QueryTimes", "format_table", "measure_queries", "run_demo"]

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


def run_demo() -> bool:
    """Print the times of every query. Return whether each was asked, and the second call a hit. Raises `LocalError`.

    Uses a folder, a cache and a port of its own, so that it can run beside `cacheaside run`.
    """
    template = read_template(ROOT / "template.yaml")
    with serving(template, ROOT / ".local" / "demo", port=0, access=False) as (gateway, stack):
        rows, all_asked = [], True
        for row in measure_queries(gateway.url, stack.cache_url):
            if isinstance(row, LocalError):
                all_asked = False
                print_line(str(row))
                continue
            rows.append(row)
            print_line(f"{row.query}: {row.miss_ms:,.0f} ms, then {row.hit_ms:,.1f} ms")
    print_line("\n" + format_table(rows))
    return all_asked and all(row.is_hit for row in rows)


def measure_queries(api_url: str, cache_url: str) -> Iterator[QueryTimes | LocalError]:
    """Call each query twice. Deletes the keys of earlier runs from the cache before, and no others.

    Yields the error of a query whose required parameter has no example. Raises `LocalError` if the API fails.
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
        try:
            path = example_path(query)
        except LocalError as error:
            yield error
            continue
        miss_ms, _, _ = _get(client, path)
        hit_ms, response, _ = _get(client, path)
        yield QueryTimes(query["name"], miss_ms, hit_ms, response.status, response.headers.get("Cache-Status", ""))
    client.close()


def format_table(rows: list[QueryTimes]) -> str:
    """Return a line for each row, or one that says that there is none."""
    if not rows:
        return "The catalogue has no queries yet: put a .sql file into functions/catalogue/queries"
    cells = [
        (row.query, f"{row.miss_ms:,.1f}", f"{row.hit_ms:,.1f}", f"{row.miss_ms / row.hit_ms:,.0f}×", _outcome(row))
        for row in rows
    ]
    return table(("query", "miss ms", "hit ms", "ratio", "Cache-Status of the second call"), cells, right=(1, 2, 3))


def _outcome(row: QueryTimes) -> str:
    answer = row.cache_status or "none" if row.status == 200 else f"answered {row.status}"
    return answer if row.is_hit else f"{answer}  ← not a hit"


def _get(client: http.client.HTTPConnection, path: str) -> tuple[float, http.client.HTTPResponse, bytes]:
    started = time.perf_counter()
    client.request("GET", path)
    response = client.getresponse()
    body = response.read()
    return (time.perf_counter() - started) * 1000, response, body
