"""A question: a query with a value for each of its parameters. Its answer has one place in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cacheaside.catalogue.parameters import Value, to_query_string
from cacheaside.catalogue.statements import Query
from cacheaside.catalogue.tags import resolve_tags
from cacheaside.reading.keys import Keys, question_keys

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """`values` are checked already: `parameters.bind_text` and `parameters.bind_json` return such."""

    query: Query
    values: Mapping[str, Value]

    @cached_property
    def keys(self) -> Keys:
        """The cache keys of its entry, its lease and its tags."""
        tags = resolve_tags(self.query.tags, self.values)
        return question_keys(self.query.name, self.query.sql, self.values, tags)

    @property
    def query_string(self) -> str:
        """The values as the query string of a URL, from which `bind_text` makes the same values again."""
        return to_query_string(self.values)
