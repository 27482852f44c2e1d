"""The record of a campaign: all operations of clients, and all that is known about the stack meanwhile.

Times are those of `time.monotonic`, which all processes of a machine share. A value of a row only rises, by one with
each write, so it tells which write an answer shows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Change", "Drained", "History", "Injected", "Operation", "Probe", "RuntimeFailure", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request of a client, or one transaction of an SQL writer, from its begin to its end."""

    begin: float
    end: float
    kind: str  # row, rows, write or sql
    row: int | None = None
    status: int = 0  # 0: no answer. A transaction that is committed has 200, one that is rolled back 409
    content_type: str = ""
    cache_status: str = ""
    age: int | None = None
    body: str = ""
    name: str = ""  # of a write, in the journal; its retries have the same
    key: bool = False  # the write has an Idempotency-Key
    left: bool = False  # the client cut the connection itself, to send the write again


@dataclass(frozen=True, slots=True)
class Change:
    """A committed change, as the journal in PostgreSQL has it. `name` is that of the operation, if one made it."""

    row: int
    value: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Drained:
    """A change that the outbox showed as drained at this time."""

    at: float
    row: int
    value: int


@dataclass(frozen=True, slots=True)
class Window:
    """From an asynchronous failover until its replay is drained, a drained invalidation may be lost."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to PostgreSQL in the role of the query function, without the product."""

    begin: float
    end: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Injected:
    """One injection of a fault. `recovered_s` counts from its end; None: not before the next one, or not in time."""

    name: str
    group: str
    begin: float
    end: float
    recovered_s: float | None


@dataclass(frozen=True, slots=True)
class RuntimeFailure:
    """An invocation that the runtime ended without an answer of the function."""

    at: float
    text: str


@dataclass(slots=True)
class History:
    warm_up: list[Operation] = field(default_factory=list)  # before `operations`, while sandboxes start: not counted
    operations: list[Operation] = field(default_factory=list)
    drained: list[Drained] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    failures: list[RuntimeFailure] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)  # all that were committed
    undrained: list[Change] = field(default_factory=list)  # those whose invalidation never was delivered
    pending: int = 0  # rows of the outbox at the end

    def write(self, path: Path) -> None:
        """Write the record as lines of JSON, each with the kind of its entry."""
        kinds: dict[str, Sequence[object]] = {
            "warm-up": self.warm_up,
            "operation": self.operations,
            "drained": self.drained,
            "probe": self.probes,
            "injected": self.injected,
            "failure": self.failures,
            "window": self.windows,
            "change": self.changes,
            "undrained": self.undrained,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for kind, entries in kinds.items():
                for entry in entries:
                    print(json.dumps({"entry": kind, **asdict(entry)}), file=file)  # type: ignore[call-overload]
