"""The world that readers and writers share: one cached answer, its lease, its tag, and one row in the database.

Every step of the read path is one instant here, as it is one command or script in Valkey and one statement in
PostgreSQL. States are immutable, so that the explorer can go back to any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import BoundQuery, Query
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag

__all__ = ["BOUND", "NOW_MS", "Variant", "World", "entry_of"]

NOW_MS: Final = 1_000_000
POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=60_000, negative_ttl_ms=60_000)
BOUND: Final = BoundQuery(
    Query(
        name="row",
        summary="",
        sql="",
        returns="one",
        timeout_ms=10_000,
        tags=("rows",),
        parameters={},
        policy=POLICY,
    ),
    {},
)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is done wrong on purpose. With nothing set, this is how Valkey, PostgreSQL and our writers behave."""

    name: str
    plain_set: bool = False  # the entry is stored without asking for the lease
    late_versions: bool = False  # tag versions are those of the moment of storing
    token_per_client: bool = False  # all fills of one client, here of all readers, have the same token
    invalidate_first: bool = False  # the writer takes the tag out before it commits
    blind_look: bool = False  # the lease is not read together with the entry


@dataclass(frozen=True, slots=True)
class World:
    """What is stored where. `value` is the committed state of the row: the number of writes so far."""

    value: int = 0
    entry: bytes | None = None
    lease: bytes | None = None
    tag: bytes | None = None
    loads: int = 0

    def do(self, step: steps.Step, variant: Variant) -> tuple[World, object]:
        """Return the world after `step`, and what the read path is sent."""
        match step:
            case steps.Look():
                looked = self._looked()
                return self, replace(looked, lease=None) if variant.blind_look else looked
            case steps.Acquire():
                after = replace(self, lease=self.lease or step.token, tag=self.tag or step.new_versions[0])
                return after, steps.Acquired(after.lease == step.token, after._looked())
            case steps.Load():
                return replace(self, loads=self.loads + 1), steps.Loaded(str(self.value).encode())
            case steps.Store():
                if self.lease != step.token and not variant.plain_set:
                    return self, False
                entry = self._with_late_versions(step.entry) if variant.late_versions else step.entry
                lease = None if self.lease == step.token else self.lease
                return replace(self, entry=entry, lease=lease), True
            case steps.Release():
                return replace(self, lease=None if self.lease == step.token else self.lease), None
            case steps.Wait():
                return self, None

    def _looked(self) -> steps.Looked:
        return steps.Looked(self.entry, self.lease, (self.tag,))

    def _with_late_versions(self, data: bytes) -> bytes:
        entry = decode(data)
        assert entry is not None
        return encode(replace(entry, tag_versions=(self.tag or bytes(TOKEN_BYTES),)))


def entry_of(value: int, tag: bytes, *, fresh: bool) -> bytes:
    """Return a stored entry with that value, fresh or in its stale window."""
    created_ms = NOW_MS - (1_000 if fresh else POLICY.ttl_ms + 1_000)
    body = str(value).encode()
    fields: Mapping[str, int] = {"created_ms": created_ms, "fresh_until_ms": created_ms + POLICY.ttl_ms, "load_ms": 10}
    return encode(Entry(body=body, token=b"F" * TOKEN_BYTES, tag_versions=(tag,), etag=entity_tag(body), **fields))
