"""Readers and writers as processes, readers killed at random: a short run of what `make stress` does at length."""

from __future__ import annotations

import pytest

from bench.stress import stress
from cacheaside.settings import CacheSettings, DatabaseSettings, Settings
from local.postgres import PostgresServer


@pytest.fixture
def settings(cache_settings: CacheSettings, database_settings: DatabaseSettings) -> Settings:
    return Settings(database_settings, cache_settings)


def test_no_read_is_older_than_a_write_acknowledged_before_it(settings: Settings, postgres: PostgresServer) -> None:
    report = stress(5, settings, postgres.url)
    assert report.stale == 0
    assert (report.killed > 5, report.writes > 20, report.reads > 1_000) == (True, True, True), report
    assert report.sources["COLLAPSED"] > 0
    assert report.sources["STALE"] > 0


def test_checker_notices_writers_that_invalidate_before_they_commit(
    settings: Settings, postgres: PostgresServer
) -> None:
    assert stress(5, settings, postgres.url, invalidate_first=True).stale > 0
