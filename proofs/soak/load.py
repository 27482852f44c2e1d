"""The load: callers over HTTP, and a writer that bypasses the API."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import psycopg2

from local.servers.processes import HOST
from proofs.soak.requests import HOT, Request, a_read, a_write
from proofs.soak.stack import PRODUCTS, SoakStack

__all__ = ["Tally", "load"]

_READERS: Final = 4
_WRITERS: Final = 2
_PAUSE_S: Final = 0.15  # at most, between two requests of a caller
_PATIENCE_S: Final = 60.0
_RECONNECTS: Final = 0.02
_REVALIDATES: Final = 0.1
_LEAVES: Final = 0.5

# Else the orders of the load would make queries slower over time.
_DELETE_ORDERS: Final = """
with recent as (select id from orders where placed_at > now() - interval '1 hour')
delete from order_items where order_id in (select id from recent);
delete from orders
where placed_at > now() - interval '1 hour' and not exists (select from order_items where order_id = orders.id)
"""


class Tally:
    """Counts the requests, and the answers with another status than those expected. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.unexpected: Counter[str] = Counter()

    def add(self, request: Request, status: int | str) -> None:
        with self._lock:
            self.requests += 1
            if status not in request.expected:
                self.unexpected[f"{request.name}: {status}"] += 1


@contextmanager
def load(stack: SoakStack) -> Iterator[Tally]:
    """Send requests, and write with SQL, during the block."""
    tally, stopped = Tally(), threading.Event()
    threads = [
        *(threading.Thread(target=_call, args=[stack.port, a_read, tally, stopped]) for _ in range(_READERS)),
        *(threading.Thread(target=_call, args=[stack.port, a_write, tally, stopped]) for _ in range(_WRITERS)),
        threading.Thread(target=_write_with_sql, args=[stack.postgres.url, stopped]),
    ]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _call(port: int, choose: Callable[[], Request], tally: Tally, stopped: threading.Event) -> None:
    """Send requests, mostly on the same connection. Sometimes leave before the answer comes."""
    while not stopped.is_set():
        with closing(http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_S)) as connection:
            while not stopped.wait(random.uniform(0, _PAUSE_S)) and random.random() > _RECONNECTS:
                request = choose()
                try:
                    tally.add(request, _send(connection, request))
                except (OSError, http.client.HTTPException) as error:
                    tally.add(request, type(error).__name__)
                    break
            else:
                if random.random() < _LEAVES:
                    connection.request("GET", f"/queries/refreshed?id={random.randint(1, HOT)}")


def _send(connection: http.client.HTTPConnection, request: Request) -> int:
    connection.request(request.method, request.path, request.body, request.headers)
    response = connection.getresponse()
    response.read()
    tag = response.headers.get("etag")
    if request.method != "GET" or tag is None or random.random() > _REVALIDATES:
        return response.status
    connection.request("GET", request.path, headers={"if-none-match": tag})
    again = connection.getresponse()
    again.read()
    return 200 if again.status == 304 else again.status


def _write_with_sql(url: str, stopped: threading.Event) -> None:
    """Change rows as psql does."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while not stopped.wait(random.uniform(0, 2)):
            cursor.execute("update products set price = price + 1 where id = %s", [random.randint(1, PRODUCTS)])
            if random.random() < 0.1:
                cursor.execute(_DELETE_ORDERS)
                cursor.execute("update products set price = price + 1 where id %% 10 = %s", [random.randrange(10)])
