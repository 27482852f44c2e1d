"""The cause of a 5xx on the terminal: once, on one line, and never that of another request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.api.causes import Causes
from local.api.events import Response

CHAINED = """Traceback (most recent call last):
  File "queries.py", line 1, in run
    cursor.execute(sql)
psycopg2.errors.UndefinedColumn: column "nme" does not exist
LINE 2: select nme
               ^
HINT:  Perhaps you meant to reference the column "t.name".


The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "app.py", line 2, in answer
cacheaside.errors.StatementFailed: the database refused the statement"""
PLAIN = """Traceback (most recent call last):
  File "app.py", line 1, in answer
ZeroDivisionError: division by zero"""


class Terminal:
    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self._log = folder / "QueryFunction.log"
        self._causes = Causes(folder, self.lines.append)

    def fail(
        self, request: str, message: str = "", exception: str = "", *, status: int = 500, path: str = "/queries/q"
    ) -> None:
        with self._log.open("a") as log:
            if message:
                line = {"level": "ERROR", "message": message, "function_request_id": request, "exception": exception}
                print(json.dumps(line, ensure_ascii=False), file=log)
        body = json.dumps({"instance": f"urn:uuid:{request}"}).encode()
        self._causes.tell("QueryFunction", path, Response(status, [], body))


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_cause_is_postgresqls_message_with_its_hint(terminal: Terminal) -> None:
    terminal.fail("a", "the database refused the statement", CHAINED)
    assert terminal.lines == [
        'queries/q.sql: the database refused the statement: column "nme" does not exist '
        'HINT: Perhaps you meant to reference the column "t.name".'
    ]


def test_the_file_of_a_wrong_query_is_named_once(terminal: Terminal) -> None:
    terminal.fail("a", "/home/a/functions/catalogue/queries/q.sql:1: ttl is missing")
    assert terminal.lines == ["queries/q.sql:1: ttl is missing"]


def test_exception_of_another_kind_is_named(terminal: Terminal) -> None:
    terminal.fail("a", "division by zero", PLAIN, path="/health")
    assert terminal.lines == ["/health: ZeroDivisionError: division by zero"]


def test_same_cause_is_told_once_and_counted(terminal: Terminal) -> None:
    for number in range(100):
        terminal.fail(str(number), "no", PLAIN)
    terminal.fail("other", "another")
    assert [line.rpartition(": ")[2] for line in terminal.lines] == [
        *("division by zero", "the same 10 times", "the same 100 times", "another")
    ]


def test_those_who_share_the_failure_of_a_load_are_the_same(terminal: Terminal) -> None:
    for number in range(10):
        terminal.fail(str(number), "the database refused the statement", "" if number % 2 else CHAINED)
    assert len(terminal.lines) == 2
    assert terminal.lines[1] == "queries/q.sql: the same 10 times"


def test_a_message_of_several_lines_or_with_a_line_separator_is_one_line(terminal: Terminal) -> None:
    head = "Traceback (most recent call last):\n  File\npsycopg2.OperationalError: Connection refused"
    terminal.fail("a", "no\u2028connection", f"{head}\n\tIs the server running?")
    assert terminal.lines == ["queries/q.sql: no connection: Connection refused Is the server running?"]


def test_answers_that_are_no_errors_and_logs_of_others_are_not_told(terminal: Terminal) -> None:
    terminal.fail("a", "no", PLAIN, status=404)
    terminal.fail("b")
    assert terminal.lines == []
