"""The errors of the library, and the HTTP status of each.

    CacheasideError
    ├── CatalogueError          a .sql file of the catalogue is wrong; names file and line        (at init)
    ├── SettingsError           environment variables are missing or wrong; names every one       (at init)
    ├── UnknownStatement        no query or command of that name                                  404
    ├── NotFound                a query or command that returns one row found none                404
    ├── BadParameters           parameters or body fields are wrong; names every one              400
    ├── Unauthenticated         the answer depends on who asks, and the request has no token      401
    ├── WrongClaim              the caller's token lacks a claim, or it is of the wrong form      403
    ├── BadBody                 the request body is not a JSON object of the expected shape       400
    ├── BodyTooLarge            the request body is larger than the route accepts                 413
    ├── UnsupportedMedia        the request body is not application/json in UTF-8, or is encoded  415
    ├── PreconditionFailed      If-Match names no entity tag of the current answer                412
    ├── BadIdempotencyKey       the header is not 1 to 255 visible characters                     400
    ├── IdempotencyKeyReused    the key was used for another request                              422
    ├── IdempotencyKeyInFlight  the first request with the key is still running                   409
    ├── CacheUnavailable        the cache did not answer in time, or not with a valid reply       503 of /invalidations
    │   └── EntryTooLarge       a value in the cache is too large to pass within the time of a call
    ├── WaitedTooLong           another request's load takes longer than this one may wait        503
    └── DatabaseError
        ├── DatabaseUnavailable no connection, or it was lost                                     503
        │   └── DatabaseSilent  no reply before the deadline                                      503
        ├── OutcomeUnknown      the connection was lost during the COMMIT of a command            503
        ├── Overloaded          the limit of concurrent loads without a lease is reached          503
        ├── StatementTimeout    the statement took longer than its timeout                        504
        ├── Busy                other transactions conflict with this one, or hold a lock          503
        ├── RefusedForNow       read-only, out of space or memory, a failover: it passes           503
        ├── ConstraintViolated  a constraint or a type forbids a value; names the columns
        │   ├── Conflict        because of stored rows                                            409
        │   └── Unprocessable   because of values in the request                                  422
        ├── StatementFailed     PostgreSQL refused the statement                                  500
        └── AnswerTooLarge      the answer is too large for a Lambda response                     500

`cacheaside.http.problems` alone decides the HTTP status. A message that reaches a caller never holds SQL, host names
or credentials. PostgreSQL's own message is in `__cause__`, for the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
    "DatabaseSilent",
    "DatabaseUnavailable",
    "EntryTooLarge",
    "IdempotencyKeyInFlight",
    "IdempotencyKeyReused",
    "NotFound",
    "OutcomeUnknown",
    "Overloaded",
    "ParameterProblem",
    "PreconditionFailed",
    "RefusedForNow",
    "SettingsError",
    "StatementFailed",
    "StatementTimeout",
    "Unauthenticated",
    "UnknownStatement",
    "Unprocessable",
    "UnsupportedMedia",
    "WaitedTooLong",
    "WrongClaim",
    "in_full",
]


def in_full(error: BaseException) -> str:
    """Return `error` with its cause, for the log: Lambda's runtime client logs the error alone.

    The further lines of PostgreSQL's message are left out, because they quote the statement with its values.
    """
    return f"{error}: {error.__cause__}".partition("\n")[0] if error.__cause__ else str(error)


class CacheasideError(Exception):
    """The base of all errors that this library defines."""


class CatalogueError(CacheasideError):
    """A file of the catalogue is wrong. The message starts with `file:line:`, as that of a compiler.

    `reason` is the message without them, `place` the file as callers may know it: `queries/top_products.sql:3`.
    """

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason

    @property
    def place(self) -> str:
        """The file, without the folder of the catalogue, and the line."""
        return f"{self.path.parent.name}/{self.path.name}:{self.line}"


class SettingsError(CacheasideError):
    """Environment variables are missing or wrong. The message has a line for each."""


class UnknownStatement(CacheasideError):
    """The catalogue holds no query or command of that name."""


class NotFound(CacheasideError):
    """A query or command that returns one row found none. For a query this is an answer, and it is cached.

    `headers` are those of the answer: its source and its age.
    """

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = headers or {}


class ParameterProblem(NamedTuple):
    """The error in one parameter. `detail` describes the correct form."""

    parameter: str
    detail: str


class BadParameters(CacheasideError):
    """Parameters are missing, malformed or unknown. `problems` has an item for each of them, except for `more`."""

    def __init__(self, problems: list[ParameterProblem], more: int = 0) -> None:
        details = [problem.detail for problem in problems] + ([f"and {more} more"] if more else [])
        super().__init__("; ".join(details))
        self.problems = problems


class Unauthenticated(CacheasideError):
    """A parameter is a claim of the caller's token, and API Gateway passed no claims on."""


class WrongClaim(CacheasideError):
    """The caller's token lacks a claim that is a parameter, or the claim has not the form of this parameter."""


class BadBody(CacheasideError):
    """The request body is not a JSON object of the form that the route accepts."""


class BodyTooLarge(CacheasideError):
    """The request body is larger than the route accepts."""


class UnsupportedMedia(CacheasideError):
    """The request body has a media type, charset or content coding that the route does not accept."""


class PreconditionFailed(CacheasideError):
    """The request's If-Match names no entity tag of the current answer."""


class BadIdempotencyKey(CacheasideError):
    """The header Idempotency-Key holds no valid key."""


class IdempotencyKeyReused(CacheasideError):
    """The key was used for another request: another command, other parameters, or another caller."""


class IdempotencyKeyInFlight(CacheasideError):
    """The first request with the key was still running when this request's time was over."""


class CacheUnavailable(CacheasideError):
    """The cache refused the call, did not answer before the timeout, or sent an invalid reply."""


class EntryTooLarge(CacheUnavailable):
    """A value is too large for the time of a call, or announces too many elements. The server answers, others fit."""


class WaitedTooLong(CacheasideError):
    """Another request is loading the same answer, and takes longer than this request may wait."""


class DatabaseError(CacheasideError):
    """The base of all errors of PostgreSQL and of the connection to it."""


class DatabaseUnavailable(DatabaseError):
    """There is no connection to PostgreSQL, or it was lost before the answer arrived."""


class DatabaseSilent(DatabaseUnavailable):
    """PostgreSQL did not answer before the deadline. To ask again at once would only take as long again."""


class OutcomeUnknown(DatabaseError):
    """The connection was lost during the COMMIT of a command, which may or may not have been carried out."""


class Overloaded(DatabaseError):
    """The limit of concurrent loads without a lease, in the whole fleet, is reached."""


class StatementTimeout(DatabaseError):
    """PostgreSQL cancelled the statement at its timeout."""


class Busy(DatabaseError):
    """PostgreSQL rolled back because of other transactions: a conflict, or a lock. A retry at once may succeed."""


class RefusedForNow(DatabaseError):
    """PostgreSQL cannot run the statement at the moment. The same statement will succeed when the reason is gone.

    `retry_after_s` is the time in seconds after which a caller should try again.
    """

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConstraintViolated(DatabaseError):
    """A constraint forbids a write (SQLSTATE class 23), or a value of the caller has no result (class 22 and others).

    `fields` are the constraint's columns, or the constraint's name if it has none. `rule` tells the reason. Without a
    constraint there are no fields, because PostgreSQL does not tell which value it was.
    """

    def __init__(self, rule: str, fields: Sequence[str] = ()) -> None:
        super().__init__(f"{', '.join(fields)}: {rule}" if fields else rule)
        self.rule = rule
        self.fields = tuple(fields)


class Conflict(ConstraintViolated):
    """Stored rows forbid the change. The same change may be possible at another time."""


class Unprocessable(ConstraintViolated):
    """A value in the request is not allowed, refers to a row that does not exist, or has no result (`100 / 0`)."""


class StatementFailed(DatabaseError):
    """PostgreSQL refused the statement, or the statement returned more rows than declared."""


class AnswerTooLarge(DatabaseError):
    """The answer is larger than a Lambda function can return."""
