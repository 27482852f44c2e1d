"""A question: a query with a value for each of its parameters. Its answer has one place in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final

from cacheaside.catalogue.parameters import Value, canonical, to_query_string
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import resolve_tags
from cacheaside.reading.entry import FORMAT_VERSION, Entry
from cacheaside.reading.keys import Keys, question_keys

__all__ = ["Question"]

# The version of the way from values to SQL, and from rows to a body (`drivers/postgres`). If the same question would
# get other bytes than from the code before, raise it: during a deployment both codes use one cache.
_RENDERING_VERSION: Final = 1
_VERSIONS: Final = bytes([FORMAT_VERSION, _RENDERING_VERSION])

# The clocks of two machines differ by milliseconds. An entry from later than this was not made by one of ours.
_CLOCKS_DIFFER_MS: Final = 60_000

_as_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True)
class Question:
    """`values` are checked already: `parameters.bind_text` and `parameters.bind_json` return such."""

    query: Query
    values: Mapping[str, Value]

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that differ between two questions if their answers can differ, and between versions of the code."""
        values = _as_json({name: canonical(value) for name, value in self.values.items()})
        return blake2b(_VERSIONS + self.query.identity + values.encode(), digest_size=16).digest()

    @cached_property
    def keys(self) -> Keys:
        """The cache keys of its entry, its lease and its tags."""
        return question_keys(self.query.name, self.digest, resolve_tags(self.query.tags, self.values))

    @property
    def query_string(self) -> str:
        """The values as the query string of a URL, from which `bind_text` makes the same values again."""
        return to_query_string(self.values)

    def accept(self, entry: Entry, now_ms: int) -> Entry | None:
        """Return `entry`, or None if no fill of this question can have made it. Such an entry counts as missing.

        Code with a longer ttl may have made it, before or during a deployment. Then the one returned is fresh for the
        ttl of this code.
        """
        if entry.question != self.digest or entry.created_ms > now_ms + _CLOCKS_DIFFER_MS:
            return None
        longest_ms = self.query.policy.fresh_ms(found=entry.body is not None, chance=0)
        if entry.fresh_until_ms <= entry.created_ms + longest_ms:
            return entry
        return entry._replace(fresh_until_ms=entry.created_ms + longest_ms)
