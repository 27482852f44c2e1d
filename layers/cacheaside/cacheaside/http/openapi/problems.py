"""An example of each problem: the document that the API sends for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from cacheaside import errors
from cacheaside.http import problems
from cacheaside.http.messages import Response

__all__ = ["Example", "problem_example"]

_REQUEST_ID: Final = "0e37df36-f698-11e6-8dd4-cb9ced3df976"
_ERRORS: Final = (
    errors.BadParameters([errors.ParameterProblem("limit", "limit must be at least 1, not '0'")]),
    errors.Unauthenticated("the answer depends on who asks: send a bearer token that this API accepts"),
    errors.WrongClaim("the token has no claim sub"),
    errors.BadBody('the body must be a JSON object, such as {"id": 42}'),
    errors.BodyTooLarge("the body is larger than 256 KiB"),
    errors.UnsupportedMedia("send a JSON object in UTF-8, with the header content-type: application/json"),
    errors.PreconditionFailed("If-Match names no entity tag of the current answer"),
    errors.CatalogueError(Path("queries/product.sql"), 2, "ttl must be a duration such as 60s"),
    errors.UnknownStatement("there is no query of that name; GET /queries lists all"),
    errors.NotFound("product has no row for these parameters"),
    errors.BadIdempotencyKey(
        "Idempotency-Key must be one key of 1 to 255 visible ASCII characters without a comma, such as a UUID"
    ),
    errors.IdempotencyKeyReused("the idempotency-key was used for another request"),
    errors.IdempotencyKeyInFlight("the first request with this idempotency-key is still running"),
    errors.Conflict("there is one like it already", ["sku"]),
    errors.Unprocessable("what it refers to does not exist", ["customer_id"]),
    errors.AnswerTooLarge("orders answered with 7,340,032 bytes, 7,864,320 as sent"),
    errors.DatabaseUnavailable("the database cannot be reached"),
    errors.OutcomeUnknown(
        "the connection to the database was lost during COMMIT: the command may have been carried out"
    ),
    errors.Overloaded("the limit of concurrent loads without a lease is reached"),
    errors.Busy("another transaction holds a lock that this one needs"),
    errors.RefusedForNow("the database cannot do this at the moment"),
    errors.WaitedTooLong("another request is loading this answer, and takes longer than this one may wait"),
    errors.CacheUnavailable("the cache did not answer"),
    errors.StatementTimeout("the statement ran into its timeout"),
    RuntimeError(),  # any that was not foreseen
)


class Example(NamedTuple):
    """A kind of problem, and the response to an error of it."""

    problem: problems.Problem
    response: Response

    @property
    def document(self) -> dict[str, Any]:
        """The body of the response."""
        document: dict[str, Any] = json.loads(self.response.body)
        return document


def _examples() -> dict[str, Example]:
    pairs = [(problems.problem_of(error), problems.problem_response(error, _REQUEST_ID)) for error in _ERRORS]
    return {problem.slug: Example(problem, response) for problem, response in pairs}


_EXAMPLES: Final = _examples()


def problem_example(slug: str) -> Example:
    """Return the example of a problem that the operations of the document can answer."""
    return _EXAMPLES[slug]
