"""The wait callback: it bounds what asks for a deadline, and takes nothing from those who do not know of it."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg2
import pytest

from cacheaside.drivers.postgres.deadline import DeadlineExceeded, wait_deadline
from local.servers.postgres import PostgresServer


def test_deadline_ends_every_wait(postgres: PostgresServer) -> None:
    with closing(psycopg2.connect(postgres.url)) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        with wait_deadline(0.1), pytest.raises(DeadlineExceeded):
            cursor.execute("select pg_sleep(30)")
        assert time.monotonic() - began < 15


def test_inner_deadline_does_not_extend_the_outer_one(postgres: PostgresServer) -> None:
    with (
        closing(psycopg2.connect(postgres.url)) as connection,
        connection.cursor() as cursor,
        wait_deadline(0.1),
        wait_deadline(30),
        pytest.raises(DeadlineExceeded),
    ):
        cursor.execute("select pg_sleep(30)")


def test_connect_timeout_of_others_still_holds(postgres: PostgresServer) -> None:
    postgres.freeze()
    try:
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(postgres.url, connect_timeout=1)
    finally:
        postgres.thaw()


def test_without_a_deadline_a_statement_takes_its_time(postgres: PostgresServer) -> None:
    with closing(psycopg2.connect(postgres.url)) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_sleep(0.2)")
        assert cursor.fetchone() is not None
