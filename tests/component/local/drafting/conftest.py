"""A database with tables of many types, and an empty catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.command_line import CommandLine
from tests.component.support.temporary_database import temporary_database

SCHEMA = """
create type size as enum ('small', 'large');
create table parcels (
    id integer primary key, ref uuid, size size, weight numeric, factor real, country char(2), mail varchar(80),
    address inet, details jsonb, sent date, sent_at timestamptz, local_at timestamp, open boolean, labels text[],
    codes int[], sizes size[], factors real[]
);
create table parcel_lines (parcel_id integer, line smallint, note text, primary key (parcel_id, line));
insert into parcels select number, '0e37df36-f698-11e6-8dd4-cb9ced3df976', 'large', 1.5, 0.5, 'DE', number || '@x.y',
    '10.0.0.1', '{"a": 1}', '2025-01-02', '2025-01-02 03:04:05Z', '2025-01-02 03:04:05', true, '{a,b}',
    '{3,4}', '{large}', '{NaN}'
from generate_series(1, 20) as number;
insert into parcel_lines select number, 1, 'one' from generate_series(1, 20) as number;
create schema depot;
create table depot.shelves (id integer primary key, name text);
insert into depot.shelves values (5, 'five');
create table "she\x7f\x1blf" (id integer primary key);
"""


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[str]:
    with temporary_database(postgres, "drafting", SCHEMA) as url:
        yield url


@pytest.fixture
def cacheaside(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    (tmp_path / "catalogue/queries").mkdir(parents=True)
    return CommandLine(tmp_path / "catalogue", capsys, monkeypatch, database)
