"""The question that the words of a command line ask: a query of the catalogue, and name=value for its parameters."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_text
from cacheaside.errors import CatalogueError, UnknownStatement
from cacheaside.reading.question import Question
from local import ROOT
from local.errors import LocalError

__all__ = ["catalogue_folder", "question_of", "read_catalogue"]


def catalogue_folder() -> Path:
    """Return the folder of the catalogue: that of CATALOGUE, or this checkout's."""
    return Path(os.environ.get("CATALOGUE") or ROOT / "functions" / "catalogue")


def read_catalogue() -> Catalogue:
    """Return the catalogue. Raises `LocalError` if a file is wrong."""
    try:
        return Catalogue.load(catalogue_folder())
    except CatalogueError as error:
        raise LocalError(str(error)) from None


def question_of(catalogue: Catalogue, name: str, words: Sequence[str]) -> Question:
    """Return the question of the query `name` with words `name=value`; a list repeats its name.

    Raises UnknownStatement, BadParameters as for a request, or ValueError for a word without `=`.
    """
    if name not in catalogue.queries:
        near = difflib.get_close_matches(name, catalogue.queries, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(catalogue.queries) or 'none'}"
        raise UnknownStatement(f"there is no query {name}; {hint}")
    given: dict[str, list[str]] = {}
    for word in words:
        parameter, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no parameter; write name=value")
        given.setdefault(parameter, []).append(value)
    query = catalogue.queries[name]
    return Question(query, bind_text(query.parameters, given))
