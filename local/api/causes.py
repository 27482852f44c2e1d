"""Tells the person at the terminal why a function answered 5xx. The answer does not: it may go to anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from local.api.events import Response
from local.terminal import PrintLine, one_line

__all__ = ["Causes"]

_TAIL: Final = 1_000_000  # bytes of a log
_STATEMENT: Final = re.compile(r"/((?:queries|commands)/[^/]+)")
# Of a traceback with several exceptions, the first is the cause of the others.
_NEXT: Final = re.compile(r"\n\n(?:The above exception was|During handling of)")
# PostgreSQL's position in the statement as sent, which is not that in the file.
_POSITION: Final = re.compile(r"LINE \d+:|\s*\^*$")


class Causes:
    """Prints what a function logged about an answer, once. A cause that repeats is counted: 10 times, 100 times."""

    def __init__(self, log: Path, print_line: PrintLine) -> None:
        """`log` is the folder of the logs."""
        self._log, self._print_line = log, print_line
        self._lock = Lock()
        self._last: dict[str, tuple[str, int]] = {}

    def tell(self, function: str, path: str, response: Response) -> None:
        """Print the cause of `response` to a request of `path`, if it is an error of the server that was logged."""
        if response.status < 500 or (cause := self._cause(function, response)) is None:
            return
        match = _STATEMENT.fullmatch(path)
        place = f"{match[1]}.sql" if match else path
        with self._lock:
            last, times = self._last.get(place, ("", 0))
            # Those who share the failure of a load have its message alone, without the cause.
            times = times + 1 if cause == last or last.startswith(f"{cause}: ") else 1
            self._last[place] = cause if times == 1 else last, times
        if times == 1:
            # The error of a catalogue begins with the path of the file and the line.
            said = re.sub(rf"^\S*/(?={re.escape(place)}:\d+: )", "", cause)
            self._print_line(said if said.startswith(f"{place}:") else f"{place}: {said}")
        elif re.fullmatch("10+", str(times)):
            self._print_line(f"{place}: the same {times:,} times")

    def _cause(self, function: str, response: Response) -> str | None:
        try:
            request = json.loads(response.body)["instance"].removeprefix("urn:uuid:")
        except (ValueError, KeyError, TypeError, AttributeError):  # not an answer of ours
            return None
        with suppress(FileNotFoundError):  # removed while it runs
            lines = (line for line in _tail(self._log / f"{function}.log") if request in line)
            return next((cause for line in lines if (cause := _described(line, request))), None)
        return None


def _tail(path: Path) -> Iterator[str]:
    with path.open("rb") as log:
        log.seek(max(path.stat().st_size - _TAIL, 0))
        yield from reversed(log.read().decode(errors="replace").split("\n"))  # U+2028 ends no line of a log


def _described(line: str, request: str) -> str | None:
    try:
        logged: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    if (logged.get("level"), logged.get("function_request_id")) != ("ERROR", request):
        return None
    message, exception = one_line(logged["message"]), _NEXT.split(str(logged.get("exception", "")))[0]
    lines = [line for line in exception.split("\n")[1:] if line[:1] != " " and not _POSITION.match(line)]
    cause = re.sub(r"^psycopg2\.[\w.]+: |^cacheaside\.[\w.]+: ", "", one_line(" ".join(lines)))
    if not cause or cause == message:
        return message
    return cause if cause.endswith(message) else f"{message}: {cause}"
