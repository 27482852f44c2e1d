"""Names resolve as for the role of the function, also if the role that checks has other settings, or few rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from cacheaside.catalogue_check.findings import CatalogueCheck
from local.servers.postgres import PostgresServer
from tests.component.support.checked_statement import checked_query
from tests.component.support.temporary_database import temporary_database

# Each role finds another table `t`.
SCHEMA = """
    create schema app;
    create table app.t (id bigint primary key, in_app text);
    create function app.f() returns integer language sql immutable return 1;
    create table public.t (id bigint primary key, in_public text);
    select cacheaside.watch('app.t'), cacheaside.watch('public.t');
    grant usage on schema app to cacheaside_query;
    grant select on app.t to cacheaside_query;
    create role checker login;
    grant usage on schema app, public, cacheaside to checker;
    grant select on all tables in schema app, public, cacheaside to checker;
    grant execute on all functions in schema cacheaside to checker;
"""
FROM_APP = ("select in_app from t", "app.t")
FROM_PUBLIC = ("select in_public from t", "t")


class Database:
    """A database whose roles and settings a test may change."""

    def __init__(self, server: PostgresServer, url: str, folder: Path) -> None:
        self._server, self._url, self._folder = server, url, folder

    def run(self, sql: str) -> None:
        with closing(psycopg2.connect(self._url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)

    def check(self, query: tuple[str, ...], role: str = "postgres", options: str = "") -> CatalogueCheck:
        return checked_query(self._server.url_for(role, "acting") + options, self._folder, *query)


@pytest.fixture
def database(postgres: PostgresServer, tmp_path: Path) -> Iterator[Database]:
    with temporary_database(postgres, "acting", SCHEMA) as url:
        database = Database(postgres, url, tmp_path)
        try:
            yield database
        finally:
            database.run("""
                alter role cacheaside_query reset search_path;
                revoke cacheaside_query, cacheaside_command from checker;
                revoke all on database acting from checker;
                drop owned by checker;
                drop role checker;
            """)


@pytest.mark.parametrize(
    "setting",
    [
        "alter role cacheaside_query set search_path = app, public",
        "alter role cacheaside_query in database acting set search_path = app, public",
        "alter database acting set search_path = app, public",
        "alter database acting set search_path = public; alter role cacheaside_query set search_path = app",
        """alter role cacheaside_query set search_path = "$user", public; create schema cacheaside_query;
           create view cacheaside_query.t as select * from app.t;
           grant usage on schema cacheaside_query to cacheaside_query; grant select on cacheaside_query.t to public""",
    ],
)
def test_names_resolve_as_the_settings_of_the_functions_role_say(database: Database, setting: str) -> None:
    database.run(setting)
    database.run("select cacheaside.watch('app.t'), cacheaside.watch('public.t')")
    assert database.check(FROM_APP).problems == ()
    [problem] = database.check(FROM_PUBLIC).problems
    assert 'column "in_public" does not exist' in problem.message


def test_settings_of_the_role_that_checks_do_not_count(database: Database) -> None:
    database.run("alter role checker set search_path = app; grant cacheaside_query to checker with admin option")
    assert database.check(FROM_PUBLIC, role="checker").problems == ()


def test_option_of_the_connection_precedes_settings_as_for_the_function(database: Database) -> None:
    database.run("alter role cacheaside_query set search_path = public")
    assert database.check(FROM_APP, options="?options=-csearch_path%3Dapp").problems == ()


def test_schema_that_the_role_may_not_use_is_told_with_the_grant(database: Database) -> None:
    database.run("revoke usage on schema app from cacheaside_query")
    grant = "put into a migration: grant usage on schema app to cacheaside_query;"
    [relation] = database.check(("select in_app from app.t", "app.t")).problems
    assert relation.message == f"its role lacks a right; {grant}"
    [function] = database.check(("select app.f()",)).problems
    assert function.message == f"permission denied for schema app; {grant}"
    database.run("alter role cacheaside_query set search_path = app")
    [passed_over] = database.check(FROM_APP).problems
    assert passed_over.message == f'relation "t" does not exist; {grant}'


def test_administrator_of_the_roles_acts_as_they_do_and_leaves_no_grant(database: Database) -> None:
    database.run("""
        grant cacheaside_query, cacheaside_command to checker with admin true, set false, inherit false;
        revoke temporary on database acting from public;
        grant temporary on database acting to checker with grant option;
        alter role cacheaside_query set search_path = app;
    """)
    checked = database.check(FROM_APP, role="checker")
    assert (checked.problems, checked.warnings) == ((), ())
    database.run("""do $$ begin
        assert not pg_has_role('checker', 'cacheaside_query', 'set');
        assert not has_database_privilege('cacheaside_query', 'acting', 'temporary');
    end $$""")


def test_session_that_cannot_act_as_the_role_checks_its_rights_and_says_so(database: Database) -> None:
    database.run("revoke select on t from cacheaside_query")
    checked = database.check(FROM_PUBLIC, role="checker")
    [problem], [warning] = checked.problems, checked.warnings
    assert problem.message.endswith("put into a migration: grant select on t to cacheaside_query;")
    assert 'permission denied to grant role "cacheaside_query"' in warning.message


def test_event_trigger_of_the_user_does_not_need_rights_of_the_role(database: Database) -> None:
    database.run("""
        create table audit (command text);
        create function record_command() returns event_trigger language plpgsql
            as 'begin insert into public.audit values (tg_tag); end';
        create event trigger audit on ddl_command_end execute function record_command();
    """)
    assert database.check(FROM_PUBLIC).problems == ()
