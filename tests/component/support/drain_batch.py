"""Draining one batch of the outbox with any function in place of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheaside.drivers.postgres.outbox import Outbox


def drain_batch(
    outbox: Outbox, invalidate: Callable[[Sequence[str]], object], at_most: int = 1_000, replication_ids: str = ""
) -> int:
    """Pass the oldest changes to `invalidate`. Returns their number of rows. If it raises, they stay pending."""
    with outbox.batch(at_most, replication_ids) as batch:
        if batch.changes:
            invalidate(batch.changes)
    return len(batch.changes)
