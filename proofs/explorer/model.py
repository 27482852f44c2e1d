"""The model of Valkey and PostgreSQL: one entry, its lease, its tag, and one row in the database.

Every step of the read path is atomic here, because it is one command or script in Valkey and one statement in
PostgreSQL. States are immutable, so that the search can go back to any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag
from cacheaside.reading.question import Question

__all__ = ["NOW_MS", "POLICY", "QUESTION", "Mutant", "SharedState", "stored_entry"]

NOW_MS: Final = 1_000_000
POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=60_000, negative_ttl_ms=60_000)
QUESTION: Final = Question(
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
class Mutant:
    """A system with a deliberate defect. With no flag set: Valkey, PostgreSQL and the writers as deployed."""

    name: str
    plain_set: bool = False  # the entry is stored without a check of the lease
    late_versions: bool = False  # the entry gets the tag versions of the moment of storing
    token_per_client: bool = False  # all fills of one client, here of all readers, have the same token
    invalidate_first: bool = False  # the writer invalidates the tag before it commits
    look_without_lease: bool = False  # the lease is not read together with the entry


@dataclass(frozen=True, slots=True)
class SharedState:
    """The keys in the cache and the row in the database. `value` is the number of writes committed so far."""

    value: int = 0
    entry: bytes | None = None
    lease: bytes | None = None
    tag: bytes | None = None
    loads: int = 0

    def do(self, step: steps.Step, mutant: Mutant) -> tuple[SharedState, object]:
        """Return the state after `step`, and the result that the read path is sent."""
        match step:
            case steps.Look():
                looked = self._looked()
                return self, replace(looked, lease=None) if mutant.look_without_lease else looked
            case steps.Acquire():
                after = replace(self, lease=self.lease or step.token, tag=self.tag or step.new_versions[0])
                return after, steps.Acquired(after.lease == step.token, after._looked())
            case steps.Load():
                return replace(self, loads=self.loads + 1), steps.Loaded(str(self.value).encode())
            case steps.Store():
                if self.lease != step.token and not mutant.plain_set:
                    return self, False
                entry = self._with_late_versions(step.entry) if mutant.late_versions else step.entry
                lease = None if self.lease == step.token else self.lease
                return replace(self, entry=entry, lease=lease), True
            case steps.Release():
                return replace(self, lease=None if self.lease == step.token else self.lease), None
            case steps.Wait():
                return self, None

    def without(self, key: Literal["entry", "lease", "tag"]) -> SharedState:
        """Return the state after that key is lost."""
        match key:
            case "entry":
                return replace(self, entry=None)
            case "lease":
                return replace(self, lease=None)
            case "tag":
                return replace(self, tag=None)

    def _looked(self) -> steps.Looked:
        return steps.Looked(self.entry, self.lease, (self.tag,))

    def _with_late_versions(self, data: bytes) -> bytes:
        entry = decode(data)
        assert entry is not None
        return encode(replace(entry, tag_versions=(self.tag or bytes(TOKEN_BYTES),)))


def stored_entry(value: int, tag: bytes, *, fresh: bool) -> bytes:
    """Return an entry with that value as the cache stores it, fresh or in its stale window."""
    created_ms = NOW_MS - (1_000 if fresh else POLICY.ttl_ms + 1_000)
    body = str(value).encode()
    entry = Entry(
        body=body,
        created_ms=created_ms,
        fresh_until_ms=created_ms + POLICY.ttl_ms,
        load_ms=10,
        token=b"F" * TOKEN_BYTES,
        question=QUESTION.digest,
        tag_versions=(tag,),
        etag=entity_tag(body),
    )
    return encode(entry)
