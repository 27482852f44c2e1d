"""The command advise, on the database of this checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection

from local.advice.advise import advise
from local.advice.report import as_json, report
from local.advice.writing import write_candidates
from local.catalogue_folder import catalogue_folder
from local.connecting import connected
from local.errors import LocalError
from local.progress import Progress
from local.recorded_url import database_url
from local.terminal import PrintLine

__all__ = ["print_advice", "write_advice"]

_READING = "Reading bytes of logs"
_PROGRESS = "Asking PostgreSQL about statements"


def print_advice(
    logs: Sequence[Path], min_calls: int, print_json: Callable[[Any], None] | None, say: PrintLine
) -> None:
    """Print the advice as a table, or with `print_json`. Raises `LocalError`."""
    with _connected() as connection:
        advice = advise(connection, logs, catalogue_folder(), min_calls, Progress(_READING), Progress(_PROGRESS))
    if print_json:
        print_json(as_json(advice))
    else:
        say(report(advice))


def write_advice(logs: Sequence[Path], min_calls: int, number: int, say: PrintLine) -> bool:
    """Write the `number` best candidates, and return whether the check finds no problem. Raises `LocalError`."""
    folder = catalogue_folder()
    with _connected() as connection:
        advice = advise(connection, logs, folder, min_calls, Progress(_READING), Progress(_PROGRESS))
        say(f"{report(advice)}\n")
        return write_candidates(connection, advice.candidates, number, folder, say)


@contextmanager
def _connected() -> Iterator[Connection]:
    url = database_url()
    if url is None:
        raise LocalError("there is no database to advise on: run `cacheaside init`, or set DATABASE_URL")
    with connected(url) as connection:
        yield connection
