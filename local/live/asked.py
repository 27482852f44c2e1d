"""The question that the words of a command line ask: a query of the catalogue, and name=value for its parameters."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.catalogue.statements import Query
from cacheaside.errors import UnknownStatement
from cacheaside.reading.question import Question
from local.catalogue_folder import catalogue_folder

__all__ = ["query_of", "question_of", "read_catalogue"]


def read_catalogue() -> Catalogue:
    """Return the catalogue. Raises `LocalError` if its folder is none."""
    return Catalogue.load(catalogue_folder())


def query_of(catalogue: Catalogue, name: str) -> Query:
    """Return the query `name`. Raises CatalogueError if its file is wrong, or UnknownStatement with those there are."""
    if name not in catalogue.queries and name not in catalogue.query_errors:
        near = difflib.get_close_matches(name, catalogue.queries, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(catalogue.queries) or 'none'}"
        raise UnknownStatement(f"there is no query {name}; {hint}")
    return catalogue.query(name)


def question_of(catalogue: Catalogue, name: str, words: Sequence[str]) -> Question:
    """Return the question of the query `name` with words `name=value`; a list repeats its name.

    Raises CatalogueError, UnknownStatement, BadParameters as for a request, or ValueError for a word without `=`.
    """
    query = query_of(catalogue, name)
    given: dict[str, list[str]] = {}
    for word in words:
        parameter, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no parameter; write name=value")
        given.setdefault(parameter, []).append(value)
    return Question(query, bind_text(query.parameters, given, None))
