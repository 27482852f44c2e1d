"""The model of Valkey and PostgreSQL: one entry, its lease, its tag, and one row in the database.

Every step is atomic, because it is one command or script in Valkey and one statement in PostgreSQL. Look and Acquire
have a part for entry and lease, and one for the tag, which a cluster has on another server. States are immutable, so
that the search can go back to any of them.

The clock stands still. A lease or a failure that ends is a lost key. So renewing a lease changes nothing here.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from cacheaside.catalogue.policy import Freshness, Policy
from cacheaside.catalogue.statements import Query
from cacheaside.errors import StatementTimeout
from cacheaside.reading import steps
from cacheaside.reading.entry import TOKEN_BYTES, Entry, decode, encode, entity_tag
from cacheaside.reading.failure import Failure, decode_failure, encode_failure
from cacheaside.reading.question import Question

__all__ = [
    "ENDLESS",
    "KEYS",
    "NOW_MS",
    "NO_TOKEN",
    "POLICY",
    "QUESTION",
    "WRONG_TYPE",
    "Kept",
    "Mutant",
    "SharedState",
    "foreign_entries",
    "foreign_failures",
    "joined",
    "stored_entry",
]

NOW_MS: Final = 1_000_000
_DAY_MS: Final = 86_400_000
POLICY: Final = Policy(ttl_ms=60_000, stale_ms=60_000, stale_if_error_ms=120_000, negative_ttl_ms=60_000)
_AGE_MS: Final = {Freshness.FRESH: 1_000, Freshness.STALE: 61_000, Freshness.LAST_RESORT: 121_000}
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

KEYS: Final = ("entry", "lease", "tag")

# Values of the adversary. The model knows the first by its bytes, and MGET replies nothing for it.
WRONG_TYPE: Final = b"a list"
NO_TOKEN: Final = b"no token"
ENDLESS: Final = b"a lease, no end."  # looks like one, and only Acquire can tell


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A system with a deliberate defect. With no flag set: Valkey, PostgreSQL and the writers as deployed."""

    name: str
    plain_set: bool = False  # the entry is stored without a check of the lease
    late_versions: bool = False  # the entry gets the tag versions of the moment of storing
    token_per_client: bool = False  # all fills of one client, here of all readers, have the same token
    invalidate_first: bool = False  # the writer invalidates the tag before it commits
    look_without_lease: bool = False  # the lease is not read together with the entry
    endless_leases: bool = False  # the lease is acquired with SET NX, whatever is there
    foreign_tags: bool = False  # a tag gets a version with SET NX, whatever is there
    no_question: bool = False  # an entry does not say which question it answers
    blind_renewal: bool = False  # a lease is renewed with SET, whoever holds it
    late_failure: bool = False  # a failure gets the tag versions of the moment when it is left
    blind_release: bool = False  # a lease is released with DEL, whoever holds it
    tags_apart: bool = False  # no defect: entry and tag are read at different instants, in any order, as in a cluster
    repeated_versions: bool = False  # an Acquire that is sent twice gives a tag the same version twice


# Entry and lease, as they were at one instant.
Kept = tuple[bytes | None, bytes | None]


class SharedState(NamedTuple):
    """The keys in the cache and the row in the database. `value` is the number of writes committed so far.

    `loads` counts loads, and is None after anything that justifies another one.
    """

    value: int = 0
    entry: bytes | None = None
    lease: bytes | None = None
    tag: bytes | None = None
    loads: int | None = 0

    def do(self, step: steps.Step | steps.Renew, mutant: Mutant) -> tuple[SharedState, Hashable]:
        """Return the state after `step`, and the result that the read path is sent."""
        match step:
            case steps.Look() | steps.Acquire():
                after, kept = self.do_on_entry(step, mutant)
                after, tag = after.do_on_tag(step, mutant)
                return after, joined(step, kept, tag)
            case steps.Renew():
                return self._replace(lease=step.token) if mutant.blind_renewal else self, None
            case steps.Load():
                loads = None if self.loads is None else self.loads + 1
                return self._replace(loads=loads), steps.Loaded(str(self.value).encode())
            case steps.Store():
                if self.lease != step.token and not mutant.plain_set:
                    return self, False
                entry = self._with_late_versions(step.entry) if mutant.late_versions else step.entry
                lease = None if self.lease == step.token else self.lease
                return self._replace(entry=entry, lease=lease), True
            case steps.Release():
                if self.lease != step.token and not mutant.blind_release:
                    return self, None
                late = mutant.late_failure and step.failure is not None
                return self._replace(lease=self._late_failure(step.failure) if late else step.failure), None
            case steps.Wait():
                return self, None

    def do_on_entry(self, step: steps.Look | steps.Acquire, mutant: Mutant) -> tuple[SharedState, Kept]:
        """Do the part of a step that concerns entry and lease. Return the state after it, and what it found."""
        if isinstance(step, steps.Look):
            return self, (_string(self.entry), None if mutant.look_without_lease else _string(self.lease))
        held = self.lease if _is_lease(self.lease) or mutant.endless_leases else None
        return self._replace(lease=held or step.token), (_string(self.entry), _string(held or step.token))

    def do_on_tag(self, step: steps.Look | steps.Acquire, mutant: Mutant) -> tuple[SharedState, bytes | None]:
        """Do the part of a step that concerns the tag. Return the state after it, and the version."""
        if isinstance(step, steps.Look):
            return self, _string(self.tag)
        tag = self.tag if _is_token(self.tag) or mutant.foreign_tags else None
        return self._replace(tag=tag or step.seeds[0]), _string(tag or step.seeds[0])

    def disturbed(self) -> SharedState:
        """Return the same state after an event that justifies another load."""
        return self._replace(loads=None)

    def has_failure(self) -> bool:
        """Return whether a failed load has left its failure. It ends by itself."""
        return self.lease is not None and _is_failure(self.lease)

    def lease_ends(self) -> bool:
        """Return whether the lease key is free, or will be: a lease and a failure end by themselves."""
        return self.lease is None or _is_lease(self.lease) or self.has_failure()

    def without(self, key: str) -> SharedState:
        """Return the state after that key is lost."""
        lost: dict[str, Any] = {key: None}
        return self._replace(**lost)

    def _with_late_versions(self, data: bytes) -> bytes:
        entry = decode(data)
        assert entry is not None
        return encode(entry._replace(tag_versions=(self.tag or bytes(TOKEN_BYTES),)))

    def _late_failure(self, data: bytes | None) -> bytes | None:
        failure = decode_failure(data or b"", QUESTION.digest, NOW_MS)
        assert failure is not None
        return encode_failure(failure._replace(tag_versions=(self.tag or bytes(TOKEN_BYTES),)), NOW_MS)


def joined(step: steps.Look | steps.Acquire, kept: Kept, tag: bytes | None) -> steps.Looked | steps.Acquired:
    """Return the result of a step from those of its two parts."""
    looked = steps.Looked(*kept, (tag,))
    return looked if isinstance(step, steps.Look) else steps.Acquired(looked.lease == step.token, looked)


def _string(value: bytes | None) -> bytes | None:
    return None if value == WRONG_TYPE else value


def _is_token(value: bytes | None) -> bool:
    return value is not None and len(value) == TOKEN_BYTES


def _is_lease(value: bytes | None) -> bool:
    return _is_token(value) and value != ENDLESS


@cache
def _is_failure(value: bytes) -> bool:
    return decode_failure(value, QUESTION.digest, NOW_MS) is not None


@cache
def foreign_entries(tag: bytes | None, mutant: Mutant) -> dict[str, bytes]:
    """Return entries that no fill made. Their body is -1, and they have the version that the tag has now."""
    version = tag if tag is not None and len(tag) == TOKEN_BYTES else bytes(TOKEN_BYTES)
    data = stored_entry(-1, version, Freshness.FRESH)
    entry = decode(data)
    assert entry is not None
    others = entry if mutant.no_question else entry._replace(question=b"?" * TOKEN_BYTES)
    return {
        "that of another question": encode(others),
        "one from tomorrow": encode(entry._replace(created_ms=NOW_MS + _DAY_MS, fresh_until_ms=NOW_MS + _DAY_MS)),
        "one with another body": encode(entry._replace(etag=bytes(TOKEN_BYTES))),
        "one that is cut off": data[:-1],
    }


@cache
def foreign_failures(tag: bytes | None) -> dict[str, bytes]:
    """Return failures that no load of this moment left. They tell of value -1, with the version that the tag has."""
    version = tag if tag is not None and len(tag) == TOKEN_BYTES else bytes(TOKEN_BYTES)
    failure = Failure(StatementTimeout("-1"), b"F" * TOKEN_BYTES, (version,), QUESTION.digest)
    others = encode_failure(failure._replace(question=b"?" * TOKEN_BYTES), NOW_MS)
    tomorrows, current = encode_failure(failure, NOW_MS + _DAY_MS), encode_failure(failure, NOW_MS)
    assert others
    assert tomorrows
    assert current
    return {"that of another question": others, "one from tomorrow": tomorrows, "one that is cut off": current[:-1]}


def stored_entry(value: int, tag: bytes, freshness: Freshness) -> bytes:
    """Return an entry with that value as the cache stores it."""
    created_ms = NOW_MS - _AGE_MS[freshness]
    body = str(value).encode()
    entry = Entry(
        body=body,
        created_ms=created_ms,
        fresh_until_ms=created_ms + POLICY.ttl_ms,
        load_ms=10,
        token=b"F" * TOKEN_BYTES,
        question=QUESTION.digest,
        query_string=QUESTION.query_string,
        tag_versions=(tag,),
        etag=entity_tag(body),
    )
    return encode(entry)
