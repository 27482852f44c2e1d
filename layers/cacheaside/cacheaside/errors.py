"""Everything that can go wrong, as one small tree.

    CacheasideError
    ├── CatalogueError          a .sql file of the catalogue is wrong; names file and line        (at init)
    ├── SettingsError           environment variables are missing or bad; names every one         (at init)
    ├── UnknownStatement        no query or command of that name                                  404
    ├── NotFound                a query or command about one row found none                       404
    ├── BadParameters           parameters or body fields are wrong; names every one              400
    ├── BadBody                 the request body is not a JSON object of the expected shape       400
    ├── BodyTooLarge            the request body is larger than any command needs                  413
    ├── UnsupportedMedia        the request body is not application/json                          415
    ├── BadIdempotencyKey       the header is not 1 to 255 visible characters                     400
    ├── IdempotencyKeyReused    the key was used for another request                              422
    ├── IdempotencyKeyInFlight  the request that used the key first is still being carried out    409
    ├── CacheUnavailable        the cache did not answer in time, or not sensibly                 503 of /invalidations
    ├── WaitedTooLong           another request's load took longer than this one may wait         503
    └── DatabaseError
        ├── DatabaseUnavailable no connection, or it was lost                                     503
        ├── OutcomeUnknown      the connection was lost while a command committed                 503
        ├── Overloaded          as many direct loads as may run at once are running               503
        ├── StatementTimeout    the statement ran into its own timeout                            504
        ├── Busy                it met other transactions each time it was tried                  503
        ├── ConstraintViolated  a constraint or a column's type forbids a write; names the columns
        │   ├── Conflict        because of what is stored                                         409
        │   └── Unprocessable   because of what was sent                                          422
        ├── StatementFailed     PostgreSQL refused the statement                                  500
        └── AnswerTooLarge      the answer would not fit in a Lambda response                     500

The HTTP status of each is decided in `cacheaside.http.problems`, nowhere else. Messages of the classes that reach
a caller never hold SQL, host names or credentials; what PostgreSQL said travels as `__cause__`, for the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "AnswerTooLarge",
    "BadBody",
    "BadIdempotencyKey",
    "BadParameters",
    "BodyTooLarge",
    "Busy",
    "CacheUnavailable",
    "CacheasideError",
    "CatalogueError",
    "Conflict",
    "ConstraintViolated",
    "DatabaseError",
    "DatabaseUnavailable",
    "IdempotencyKeyInFlight",
    "IdempotencyKeyReused",
    "NotFound",
    "OutcomeUnknown",
    "Overloaded",
    "ParameterProblem",
    "SettingsError",
    "StatementFailed",
    "StatementTimeout",
    "UnknownStatement",
    "Unprocessable",
    "UnsupportedMedia",
    "WaitedTooLong",
]


class CacheasideError(Exception):
    """Base of every error that this library raises on purpose."""


class CatalogueError(CacheasideError):
    """A file of the catalogue is wrong. The message starts with `file:line:`, as compilers write it."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


class SettingsError(CacheasideError):
    """One or more environment variables are missing or bad; the message has a line for each."""


class UnknownStatement(CacheasideError):
    """The catalogue holds no query or command of that name."""


class NotFound(CacheasideError):
    """A query or command about one row found none. For a query that is an answer, and cached as such.

    `headers` are those of the answer: where it came from and how old it is.
    """

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """What is wrong with one parameter, and what would be right."""

    parameter: str
    detail: str


class BadParameters(CacheasideError):
    """Parameters are missing, malformed or unknown. `problems` holds one item for each, never only the first."""

    def __init__(self, problems: list[ParameterProblem]) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = problems


class BadBody(CacheasideError):
    """The request body is not what the route takes."""


class BodyTooLarge(CacheasideError):
    """The request body is larger than the route takes."""


class UnsupportedMedia(CacheasideError):
    """The request body is of a media type that the route does not take."""


class BadIdempotencyKey(CacheasideError):
    """The header Idempotency-Key holds something that is no key."""


class IdempotencyKeyReused(CacheasideError):
    """The key belongs to another request: another command, other parameters, or another caller."""


class IdempotencyKeyInFlight(CacheasideError):
    """The request that used the key first was still being carried out when this one's time was over."""


class CacheUnavailable(CacheasideError):
    """The cache refused, was silent past its timeout, or answered with something that is no answer."""


class WaitedTooLong(CacheasideError):
    """Another request is loading the same answer, and takes longer than this one may wait."""


class DatabaseError(CacheasideError):
    """Base of what can go wrong between us and PostgreSQL."""


class DatabaseUnavailable(DatabaseError):
    """There is no connection to PostgreSQL, or it was lost before the answer came."""


class OutcomeUnknown(DatabaseError):
    """The connection was lost while a command committed: nobody can tell whether it was carried out."""


class Overloaded(DatabaseError):
    """As many loads that no lease holds back as may run at once, in the whole fleet, are running."""


class StatementTimeout(DatabaseError):
    """The statement was cancelled when its own timeout ended."""


class Busy(DatabaseError):
    """PostgreSQL undid the transaction because of what others did meanwhile (SQLSTATE 40001, 40P01). It may go now."""


class ConstraintViolated(DatabaseError):
    """A constraint forbids a write (SQLSTATE class 23), or a value does not fit its column (some of class 22).

    `fields` are the constraint's columns, or its own name where it has none; `rule` says what it asks of each. Which
    value does not fit, PostgreSQL does not tell: then there are none.
    """

    def __init__(self, rule: str, fields: Sequence[str] = ()) -> None:
        super().__init__(f"{', '.join(fields)}: {rule}" if fields else rule)
        self.rule = rule
        self.fields = tuple(fields)


class Conflict(ConstraintViolated):
    """What is stored is in the way: the same change may be possible at another time."""


class Unprocessable(ConstraintViolated):
    """What was sent is in itself impossible, or refers to what is not there."""


class StatementFailed(DatabaseError):
    """PostgreSQL refused the statement, or it returned more rows than it may."""


class AnswerTooLarge(DatabaseError):
    """The answer is larger than a Lambda function can return."""
