"""The questions of requests: name and query string of a URL, bound to a query of the catalogue."""

from __future__ import annotations

from typing import Final

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.claims import NO_CLAIMS, Claims
from cacheaside.catalogue.parameters import bind_text
from cacheaside.http.requests import query_parameters
from cacheaside.reading.question import Question

__all__ = ["Questions"]

# Callers choose the query strings, so both limits bound the memory: some MB.
_KEPT_AT_MOST: Final = 500
_LENGTH_AT_MOST: Final = 500


class Questions:
    """Parses requests. It keeps questions with their keys: most requests of a sandbox ask what others asked before."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kept: dict[tuple[str, ...], Question] = {}

    def of(self, name: str, query_string: str, claims: Claims = NO_CLAIMS) -> Question:
        """Return the question that a caller with `claims` asks with `GET /queries/{name}?{query_string}`.

        Raises UnknownStatement, BadParameters, Unauthenticated or WrongClaim.
        """
        query = self._catalogue.query(name)
        asked = (name, query_string, *(claims.get(claim, "") for claim in query.claims))
        question = self._kept.get(asked)
        if question is None or question.query is not query:
            question = Question(query, bind_text(query.parameters, query_parameters(query_string), claims))
            if sum(map(len, asked)) <= _LENGTH_AT_MOST:
                if len(self._kept) >= _KEPT_AT_MOST:
                    self._kept.clear()
                self._kept[asked] = question
        return question
