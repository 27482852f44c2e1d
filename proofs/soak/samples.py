"""One sample: everything that must not grow, as numbers by the name of their series."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final, Self

import psycopg2
import redis

from cacheaside.reading.keys import ENTRY, PREFIX
from proofs.soak.processes import use
from proofs.soak.stack import SoakStack

__all__ = ["GROUPS", "Sampler"]

# The series of each group, in the order of the report.
GROUPS: Final = ("memory, MB", "file descriptors", "threads", "processes", "connections", "keys", "rows", "size, MB")

_KINDS: Final = {
    "entries": ENTRY,
    "leases and failures": f"{PREFIX}lease:",
    "tags": f"{PREFIX}tag:",
    "counts": f"{PREFIX}new:",
}

# The retention of these rows is part of the product: 15 minutes after the drain, and a day. So that a sweep of the
# soak prunes too, rows of more than half a minute are made older by as much.
_AGE: Final = """
update cacheaside.outbox set drained_at = drained_at - interval '15 minutes'
where drained_at between now() - interval '10 minutes' and now() - interval '30 seconds';
update cacheaside.idempotency_keys set created_at = created_at - interval '24 hours'
where created_at between now() - interval '10 minutes' and now() - interval '30 seconds'
"""
_HELD: Final = """
select
    (select count(*) from cacheaside.outbox),
    (select count(*) from cacheaside.outbox where drained_at is null),
    (select count(*) from cacheaside.idempotency_keys),
    pg_total_relation_size('cacheaside.outbox') / 1048576.0,
    pg_total_relation_size('cacheaside.idempotency_keys') / 1048576.0,
    (select count(*) from pg_stat_activity where backend_type = 'client backend')
"""
_HELD_NAMES: Final = (
    *("rows: outbox", "rows: outbox, not drained", "rows: idempotency keys"),
    *("size, MB: outbox", "size, MB: idempotency keys", "connections: PostgreSQL"),
)


class Sampler:
    """Takes samples, on connections of its own, which are in each sample alike."""

    def __init__(self, stack: SoakStack) -> None:
        self._stack = stack
        self._database = psycopg2.connect(stack.postgres.url)
        self._database.autocommit = True
        self._cache: redis.Redis = redis.Redis.from_url(stack.valkey.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cache.close()
        self._database.close()

    def take(self) -> dict[str, float]:
        """Return the value of each series now."""
        return {**self._processes(), **self._held_by_valkey(), **self._held_by_postgres()}

    def _processes(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for part, pids in self._stack.processes().items():
            used = use(pids)
            found[f"memory, MB: {part}"] = used.megabytes
            found[f"file descriptors: {part}"] = used.descriptors
            if part not in ("gateway", "Valkey"):
                found[f"processes: {part}"] = len(pids)
            if part != "PostgreSQL":  # whose processes have one thread each
                found[f"threads: {part}"] = used.threads
        return found

    def _held_by_valkey(self) -> dict[str, float]:
        info: dict[str, Any] = self._cache.info()
        keys = list(self._cache.scan_iter(count=1_000))
        kinds = {kind: sum(key.startswith(prefix.encode()) for key in keys) for kind, prefix in _KINDS.items()}
        held = info.get("db0", {"keys": 0, "expires": 0})
        return {
            "memory, MB: Valkey, its data": info["used_memory"] / 1048576,
            "connections: Valkey": info["connected_clients"],
            **{f"keys: {kind}": count for kind, count in kinds.items()},
            "keys: others": len(keys) - sum(kinds.values()),
            "keys: without an end": held["keys"] - held["expires"],
        }

    def _held_by_postgres(self) -> dict[str, float]:
        with closing(self._database.cursor()) as cursor:
            cursor.execute(_AGE)
            cursor.execute(_HELD)
            [held] = cursor.fetchall()
        return dict(zip(_HELD_NAMES, map(float, held), strict=True))
