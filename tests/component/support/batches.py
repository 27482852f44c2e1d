"""Draining a batch by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheaside.drivers.postgres.outbox import Outbox


def drain_batch(
    outbox: Outbox, take_out: Callable[[Sequence[str]], object], at_most: int = 1_000, replication_ids: str = ""
) -> int:
    """Give the oldest changes to `take_out`, and return how many rows they were. What it raises leaves them pending."""
    with outbox.batch(at_most, replication_ids) as batch:
        if batch.changes:
            take_out(batch.changes)
    return len(batch.changes)
