"""The migrate function signs in with a permission that may be only seconds old."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from cacheaside.settings import Authentication, DatabaseSettings
from migrate import first_connection
from migrate.first_connection import connect_with_retries

SETTINGS = DatabaseSettings(url="postgresql://owner@database", authentication=Authentication.IAM, region="eu-west-1")


class Database:
    """A database that refuses the first connections, and a clock that only `sleep` moves."""

    def __init__(self, refuses: int, error: type[psycopg2.Error] = psycopg2.OperationalError) -> None:
        self.refuses, self.error, self.now, self.attempts = refuses, error, 0.0, 0

    def connect(self, settings: DatabaseSettings) -> Any:
        self.attempts += 1
        if self.attempts <= self.refuses:
            raise self.error("PAM authentication failed")
        return "connection"

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def connect(database: Database, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(first_connection, "open_connection", database.connect)
    return connect_with_retries(SETTINGS, seconds, lambda: database.now, database.sleep)


def test_permission_that_is_not_known_yet_does_not_fail_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(refuses=40)
    assert connect(database, 840, monkeypatch) == "connection"
    assert database.now == 120


@pytest.mark.parametrize(("seconds", "until"), [(840, 150), (60, 60), (-1, 0)])
def test_it_gives_up_while_there_is_time_to_respond(
    seconds: float, until: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(refuses=1_000)
    with pytest.raises(psycopg2.OperationalError):
        connect(database, seconds, monkeypatch)
    assert database.now <= until
    assert database.attempts >= 1


def test_error_that_waiting_cannot_solve_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(refuses=1_000, error=psycopg2.ProgrammingError)
    with pytest.raises(psycopg2.ProgrammingError):
        connect(database, 840, monkeypatch)
    assert database.attempts == 1
