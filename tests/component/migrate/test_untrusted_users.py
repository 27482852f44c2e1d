"""Users of the database who are none of ours: they get no rights of the owner, and keep nothing from being recorded."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.session import Session

# PostgreSQL takes a function of exactly these types before its own unnest(anyarray), if the schema is on the path.
SNARE = """create function public.unnest({type}[]) returns setof {type} language plpgsql as $$
begin
    if current_user <> '{eve}' then
        execute 'alter role {eve} superuser';
    end if;
    return query select * from pg_catalog.unnest($1);
end $$"""


@pytest.fixture
def eve(sql: Callable[..., Any]) -> Iterator[str]:
    name = f"eve_{uuid.uuid4().hex[:8]}"
    sql(f"create role {name} login")
    yield name
    sql(f"drop role {name}")


def may_do_anything(session: Session, role: str) -> bool:
    return session.run(f"select rolsuper from pg_roles where rolname = '{role}'") == [(True,)]


@pytest.fixture
def hers(session: Session, eve: str, postgres: PostgresServer) -> Iterator[Callable[[str], None]]:
    """Runs statements as a user who may create objects in `public` and in a schema of her own."""
    session.run(f"grant create on schema public to {eve}; create schema hers authorization {eve}")
    url = postgres.url_for(eve, session.url.rpartition("/")[2])
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        yield cursor.execute
    session.run(f"drop owned by {eve} cascade")


def test_function_of_another_user_is_not_run_as_the_owner(
    session: Session, eve: str, hers: Callable[[str], None]
) -> None:
    hers(SNARE.format(type="text", eve=eve))
    session.run("create table mine (id integer primary key)")
    session.run("select cacheaside.watch('mine')")
    session.run("select cacheaside.declare(array['mine:{id}'])")
    session.run("select cacheaside.unwatch('mine')")
    assert not may_do_anything(session, eve)


def test_function_that_was_there_before_the_schema_is_in_none_of_its_functions(
    connect: Callable[..., Connection], eve: str
) -> None:
    owner = connect()
    with owner, owner.cursor() as cursor:
        cursor.execute(SNARE.format(type="smallint", eve=eve))
    upgrade(owner)
    with owner, owner.cursor() as cursor:
        cursor.execute(
            "select proname from pg_proc where pg_get_functiondef(oid) like '%public.unnest%'"
            " and prokind = 'f' and pronamespace = 'cacheaside'::regnamespace"
        )
        assert cursor.fetchall() == []


def test_session_cannot_switch_the_following_of_the_schema_off(session: Session, hers: Callable[[str], None]) -> None:
    hers("create table hers.t (id integer primary key); insert into hers.t values (1)")
    session.run("select cacheaside.watch('hers.t'); delete from cacheaside.outbox")
    hers("set cacheaside.following = 'on'")
    hers("alter table hers.t disable trigger user")
    hers("update hers.t set id = 2")
    assert ("hers.t:2",) in session.run("select change from cacheaside.outbox")


def test_the_value_of_the_setting_is_the_owners(session: Session, hers: Callable[[str], None]) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        hers("select token from cacheaside.following")
