"""The clients of a campaign, in a process of their own: readers and writers over HTTP, and SQL writers past the API.

Each client sends its next request some time after its last answer, so a stack that is slow gets fewer requests, as from
people. Operations are sent through a pipe as they end.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any, Final

from local.servers.processes import HOST
from proofs.chaos.history import Operation
from proofs.chaos.register import random_row
from proofs.chaos.sql_writer import SqlWriter
from proofs.consistency.register import GENERATION

__all__ = ["Target", "read_everything", "run_load"]

_READERS: Final = 8  # fewer than the loads that PostgreSQL takes at once when the cache fails
_WRITERS: Final = 3
_SQL_WRITERS: Final = 2
_PAUSE_S: Final = {"read": 0.2, "write": 0.4}  # on average
_PATIENCE_S: Final = 40.0  # the gateway answers after 30 s

_READS_ALL: Final = 0.06
_READS_GENERATION: Final = 0.04
_WITH_KEY: Final = 0.6
_LEAVES: Final = 0.04  # of the writes with a key: the client cuts the connection before the answer
_ATTEMPTS: Final = 8
_RETRY_S: Final = (0.2, 1.2)
_Record = Callable[[Operation], object]
_EMPTY: Final = Operation(begin=0.0, end=0.0, kind="rows")


@dataclass(frozen=True, slots=True)
class Target:
    """Where the clients send what: the ports of the gateways, 0 for none, and PostgreSQL for SQL writers."""

    ports: Any  # shared arrays of integers, which have no common type
    in_flight: Any  # requests, by gateway
    owner_url: str


def run_load(target: Target, pipe: Connection, reading: Event, writing: Event) -> None:
    """Run all clients, those that write until `writing` is cleared, and the others until `reading` is.

    Sends each operation as it ends, and None when those that write have ended.
    """
    lock = threading.Lock()

    def record(operation: Operation | None) -> None:
        with lock:
            pipe.send(operation)

    readers = [_Reader(number, target, record, reading.is_set) for number in range(_READERS)]
    writers = [_Writer(number, target, record, writing.is_set) for number in range(_WRITERS)]
    sql_writers = [SqlWriter(target.owner_url, record, writing.is_set) for _ in range(_SQL_WRITERS)]
    with ThreadPoolExecutor(_READERS) as read, ThreadPoolExecutor(_WRITERS + _SQL_WRITERS) as write:
        reads = [read.submit(client.run) for client in readers]
        writes = [write.submit(client.run) for client in writers]
        writes += [write.submit(client.run) for client in sql_writers]
        for each in writes:
            each.result()  # raises what it raised
        record(None)
        for each in reads:
            each.result()


class _Client(ABC):
    """One client with a connection of its own to each gateway."""

    kind = "read"

    def __init__(
        self, number: int, target: Target, record: Callable[[Operation], None], goes_on: Callable[[], bool]
    ) -> None:
        self._number = number
        self._target = target
        self._record = record
        self._goes_on = goes_on
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def run(self) -> None:
        """Send requests until told to end."""
        while self._goes_on():
            self._send()
            time.sleep(random.expovariate(1 / _PAUSE_S[self.kind]))
        for connection in self._connections.values():
            connection.close()

    @abstractmethod
    def _send(self) -> None:
        """Send one request, and record it."""

    def _ask(
        self, operation: Operation, path: str, body: object = None, key: str = "", leaves: bool = False
    ) -> Operation:
        """Send a request, and record the operation with its answer. `leaves`: do not wait for it."""
        headers = {"content-type": "application/json"} if body is not None else {}
        headers |= {"idempotency-key": key} if key else {}
        gateway = random.choice([number for number, port in enumerate(self._target.ports) if port])
        with self._flying(gateway) as connection:
            begin = time.monotonic()
            try:
                connection.request("GET" if body is None else "POST", path, json.dumps(body) if body else None, headers)
                if leaves:
                    time.sleep(random.random() * 0.02)
                    raise ConnectionAbortedError("the client leaves")
                response = connection.getresponse()
                text = response.read().decode()
            except (OSError, http.client.HTTPException, UnicodeDecodeError):
                connection.close()
                answered = replace(operation, begin=begin, end=time.monotonic(), left=leaves)
            else:
                age = response.headers.get("age")
                answered = replace(
                    operation,
                    begin=begin,
                    end=time.monotonic(),
                    status=response.status,
                    content_type=response.headers.get("content-type", ""),
                    cache_status=response.headers.get("cache-status", ""),
                    age=int(age) if age and age.isdecimal() else None,
                    body=text,
                )
        self._record(answered)
        return answered

    @contextmanager
    def _flying(self, gateway: int) -> Iterator[http.client.HTTPConnection]:
        port = self._target.ports[gateway]
        if port not in self._connections:
            self._connections[port] = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_S)
        self._count(gateway, 1)
        try:
            yield self._connections[port]
        finally:
            self._count(gateway, -1)

    def _count(self, gateway: int, by: int) -> None:
        with self._target.in_flight.get_lock():
            self._target.in_flight[gateway] += by


class _Reader(_Client):
    def _send(self) -> None:
        self.read(_row_to_read())

    def read(self, row: int | None) -> Operation:
        """Read one row, or all rows for None."""
        path = "/queries/rows" if row is None else f"/queries/row?id={row}"
        return self._ask(_EMPTY if row is None else replace(_EMPTY, kind="row", row=row), path)


class _Writer(_Client):
    kind = "write"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._writes = 0

    def _send(self) -> None:
        """Write once. With a key it is sent again until it has an answer that is final; without, it is sent once."""
        self._writes += 1
        name, row = f"{self._number}-{self._writes}", random_row()
        key = name if random.random() < _WITH_KEY else ""
        operation = replace(_EMPTY, kind="write", row=row, name=name, key=bool(key))
        for _ in range(_ATTEMPTS if key else 1):
            leaves = bool(key) and random.random() < _LEAVES
            answered = self._ask(
                operation, "/commands/increment", {"id": row, "operation": name}, key=key, leaves=leaves
            )
            if not (answered.status == 0 or answered.status >= 500 or answered.status == 409):
                return
            time.sleep(random.uniform(*_RETRY_S))


def read_everything(target: Target) -> list[Operation]:
    """Return the answers to all questions, asked one after the other."""
    answers: list[Operation] = []
    reader = _Reader(0, target, answers.append, lambda: False)
    for row in (None, *range(GENERATION + 1)):
        reader.read(row)
    return answers


def _row_to_read() -> int | None:
    chance = random.random()
    if chance < _READS_ALL:
        return None
    return GENERATION if chance < _READS_ALL + _READS_GENERATION else random_row()
