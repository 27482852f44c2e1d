"""The migrate function signs in with a permission that may be seconds old."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from cacheaside.settings import Authentication, DatabaseSettings
from migrate import first_connection
from migrate.first_connection import connect_patiently

SETTINGS = DatabaseSettings(url="postgresql://owner@database", authentication=Authentication.IAM, region="eu-west-1")


class World:
    """A database that lets nobody in for a while, and a clock that goes on while one sleeps."""

    def __init__(self, refuses: int, error: type[psycopg2.Error] = psycopg2.OperationalError) -> None:
        self.refuses, self.error, self.now, self.attempts = refuses, error, 0.0, 0

    def connect(self, settings: DatabaseSettings) -> Any:
        self.attempts += 1
        if self.attempts <= self.refuses:
            raise self.error("PAM authentication failed")
        return "connection"

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def try_it(world: World, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(first_connection, "connect", world.connect)
    return connect_patiently(SETTINGS, seconds, lambda: world.now, world.sleep)


def test_permission_that_is_not_known_yet_does_not_fail_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(refuses=40)
    assert try_it(world, 840, monkeypatch) == "connection"
    assert world.now == 120


@pytest.mark.parametrize(("seconds", "until"), [(840, 150), (60, 60), (-1, 0)])
def test_it_gives_up_while_there_is_time_to_say_so(
    seconds: float, until: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(refuses=1_000)
    with pytest.raises(psycopg2.OperationalError):
        try_it(world, seconds, monkeypatch)
    assert world.now <= until
    assert world.attempts >= 1


def test_what_time_will_not_mend_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(refuses=1_000, error=psycopg2.ProgrammingError)
    with pytest.raises(psycopg2.ProgrammingError):
        try_it(world, 840, monkeypatch)
    assert world.attempts == 1
