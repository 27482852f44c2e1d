"""Logs in every format that PostgreSQL writes give the same record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.advice.record import Record
from local.advice.slow_log import read_logs
from local.errors import LocalError

STATEMENTS = [
    ("2025-03-01 12:00:00.100 UTC", "duration: 30.5 ms  statement: select a\nfrom t where id = 7 and b = 'x'", ""),
    ("2025-03-01 12:00:01.100 UTC", "duration: 0.2 ms  parse <unnamed>: select c from t where id = $1", ""),
    ("2025-03-01 12:00:02.100 UTC", "duration: 10 ms  execute <unnamed>: select c from t where id = $1",
     "Parameters: $1 = 'it''s'"),
    ("2025-03-01 12:00:03.100 UTC", "duration: 20 ms  execute s1: select c from t where id = $1",
     "parameters: $1 = NULL"),
    ("2025-03-01 12:00:09.100 UTC", "duration: 40 ms  plan:\nQuery Text: select a\nfrom t where id = 8 and b = 'x'\n"
     "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  Filter: (id = 8)", ""),
    ("2025-03-01 12:00:10.100 UTC", "duration: 50 ms  plan:\n{\n"
     '  "Query Text": "select a\\nfrom t where id = 8 and b = \'x\'",\n  "Plan": {}\n}', ""),
    ("2025-03-01 12:00:10.100 UTC", "connection received: host=[local]", ""),
]  # fmt: skip


def plain(prefix: str) -> str:
    lines = []
    for time, message, detail in STATEMENTS:
        for severity, text in (("LOG", message), ("DETAIL", detail)):
            if text:
                first, *more = text.split("\n")
                lines += [f"{prefix.format(time=time)}{severity}:  {first}", *(f"\t{line}" for line in more)]
    return "\n".join(lines) + "\n"


def csv_line(time: str, database: str, message: str, detail: str) -> str:
    fields = [time, "app", database, "77", "", "", "1", "SELECT", "", "", "0", "LOG", "00000", message, detail]
    return ",".join('"' + field.replace('"', '""') + '"' if set(field) & set('",\n') else field for field in fields)


FORMATS = {
    "minimal": plain("{time} "),
    "debian": plain("{time} [77] app@shop "),
    "rds": plain("{time}:10.0.0.1(5432):app@shop:[77]:"),
    "epoch": plain("1740830400.100 ").replace("1740830400", "1740830390", 1),
    "csv": "".join(
        f"{csv_line(time, database, message, detail)},\n"
        for database in ("shop", "other")
        for time, message, detail in STATEMENTS
    ),
    "csv with a numeric time zone": "".join(
        f"{csv_line(time.replace('UTC', '-03'), 'shop', message, detail)},\n" for time, message, detail in STATEMENTS
    ),
    "json": "".join(
        json.dumps({"timestamp": time, "dbname": database, "message": message, "detail": detail}) + "\n"
        for database in ("shop", "other")
        for time, message, detail in STATEMENTS
    )
    + '[1, 2]\n{"message": 7}\n{"timestamp": "cut o',
}


def read(folder: Path, text: str) -> Record:
    path = folder / "log"
    path.write_text(text)
    return read_logs([path], "shop", lambda *_: None)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_same_record(name: str, tmp_path: Path) -> None:
    record = read(tmp_path, FORMATS[name])
    assert record.seconds == pytest.approx(10)
    found = {each.key: (each.sql, each.calls, each.total_ms, each.questions) for each in record.statements}
    assert found == {
        "select a from t where id = $1 and b = $2": ("select a\nfrom t where id = $1 and b = 'x'", 3, 120.5, 2),
        "select c from t where id = $1": ("select c from t where id = $1", 2, 30.0, 2),
    }
    assert not record.has_writes  # statements below a millisecond are not in it


_GOOD = ("2025-03-01 12:00:00.100 UTC", "shop", "duration: 5.000 ms  statement: select 1", "")
_DEEP = "[" * 100_000


def _json_line(*fields: str) -> str:
    return json.dumps(dict(zip(("timestamp", "dbname", "message", "detail"), fields, strict=True))) + "\n"


@pytest.mark.parametrize(
    ("good", "damaged"),
    [
        (_json_line(*_GOOD), f'{{"message": {_DEEP}\n'),
        (_json_line(*_GOOD), _json_line(_GOOD[0], "shop", f'duration: 9.000 ms  plan:\n{{"Plan": {_DEEP}', "")),
        (_json_line(*_GOOD), _json_line("2026-13-45 99:99:99 UTC", "shop", "duration: 9 ms  statement: select 2", "")),
        (f"{csv_line(*_GOOD)},\n", f"{csv_line(*_GOOD)},a\rb\n"),
        ("{0} LOG:  {2}\n".format(*_GOOD), "2026-13-45 99:99:99 UTC [1] LOG:  duration: 9 ms  statement: select 2\n"),
        ("{0} LOG:  {2}\n".format(*_GOOD), "0001-01-01 00:00:00 UTC [1] LOG:  duration: 9 ms  statement: select 2\n"),
        ("{0} LOG:  {2}\n".format(*_GOOD), f"{_GOOD[0]} LOG:  duration: {'9' * 400} ms  statement: select 2\n"),
    ],
)
def test_damaged_line_is_left_out_and_the_rest_is_read(good: str, damaged: str, tmp_path: Path) -> None:
    record = read(tmp_path, good + damaged + good)
    assert [(each.sql, each.calls, each.total_ms) for each in record.statements] == [("select 1", 2, 10)]


def test_parameter_with_a_number_of_thousands_of_digits_is_no_value(tmp_path: Path) -> None:
    head = "2025-03-01 12:00:00 UTC"
    text = f"{head} LOG:  duration: 5 ms  execute s: select $1\n{head} DETAIL:  Parameters: ${'9' * 5_000} = '1'\n"
    assert read(tmp_path, text).statements[0].calls == 1


def test_text_that_occurs_once_is_no_example(tmp_path: Path) -> None:
    line = (
        "2025-03-01 12:00:0{at} UTC LOG:  duration: 5 ms  statement: select * from t where mail = '{mail}' and n = {at}"
    )
    mails = ["a@x.y", "b@x.y", "c@x.y"]
    record = read(tmp_path, "\n".join(line.format(at=at, mail=mail) for at, mail in enumerate(mails)))
    [statement] = record.statements
    assert statement.examples == {"2": 0}


def test_log_of_all_statements_has_the_writes(tmp_path: Path) -> None:
    line = "2025-03-01 12:00:00 UTC LOG:  duration: 0.2 ms  statement: select 1\n"
    assert read(tmp_path, line).has_writes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line with a duration"),
        ("2025-03-01 12:00:00 UTC LOG:  checkpoint complete\n", "log_min_duration_statement"),
        ("2025-03-01 12:00:00 CET LOG:  Dauer: 5.123 ms  Anweisung: select 1\n", "lc_messages = 'C'"),
        ("LOG:  duration: 5 ms  statement: select 1\n", "log_line_prefix"),
    ],
)
def test_log_that_says_nothing_is_refused_with_the_setting(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=says):
        read(tmp_path, text)


def test_long_statement_in_a_csv_log_is_read(tmp_path: Path) -> None:
    sql = f"select '{'x' * 200_000}' from t"
    text = csv_line("2025-03-01 12:00:00.1 UTC", "shop", f"duration: 5.000 ms  statement: {sql}", "") + ",\n"
    assert read(tmp_path, text).statements[0].key == "select $1 from t"


def test_bytes_that_are_read_of_all_files_are_told(tmp_path: Path) -> None:
    line = "2025-03-01 12:00:00 UTC LOG:  duration: 5.000 ms  statement: select 1\n"
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_text(line * 20_000)
    size = 20_000 * len(line)
    told: list[tuple[int, int]] = []
    read_logs(paths, "shop", lambda done, total: told.append((done, total)))
    assert [done // size for done, _ in told] == [0, 1, 2]
    assert {total for _, total in told} == {2 * size}


def test_short_log_is_read_without_a_progress_bar(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("2025-03-01 12:00:00 UTC LOG:  duration: 5.000 ms  statement: select 1\n")
    told: list[tuple[int, int]] = []
    read_logs([tmp_path / "log"], "shop", lambda done, total: told.append((done, total)))
    assert told == []
