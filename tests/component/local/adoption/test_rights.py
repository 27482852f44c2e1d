"""`cacheaside init` and `remove` for owners who are no superuser, and for two databases of one server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.adoption.look import look
from local.servers.postgres import PostgresServer
from migrate.token_sign_in import allow_tokens
from tests.component.support.own_database import QUERY, Owned, command, owned_database, write

ROLES = {"cacheaside_query", "cacheaside_command", "cacheaside_invalidate"}
FILE = "for-the-administrator.sql"


def init(checkout: Path, database: Owned, *options: str) -> tuple[int, str, str]:
    return command(checkout, "init", "--database-url", database.url, "--yes", *options)


def remove(checkout: Path, database: Owned) -> tuple[int, str, str]:
    return command(checkout, "remove", "--yes", DATABASE_URL=database.url)


@pytest.fixture
def plain(server: PostgresServer) -> Iterator[Owned]:
    """A database of an owner who may not create roles."""
    with owned_database(server, "plain", "plain_shop") as database:
        yield database


@pytest.fixture
def maker(server: PostgresServer) -> Iterator[Owned]:
    """A database of an owner who may."""
    with owned_database(server, "maker", "maker_shop") as database:
        yield database


def test_owner_who_may_create_roles_can_act_as_them(checkout: Path, maker: Owned) -> None:
    before = maker.dump()
    status, out, _ = init(checkout, maker)
    assert status == 0
    assert "maker may not create event triggers" in out
    assert maker.run("set role cacheaside_query; select count(*) from sales.orders") == [(10,)]
    assert look(maker.url).joinable == []
    assert remove(checkout, maker)[0] == 0
    assert (maker.dump(), maker.roles()) == (before, set())


def test_owner_who_may_not_gets_a_file_for_the_administrator(checkout: Path, plain: Owned) -> None:
    before = plain.dump()
    status, _, _ = init(checkout, plain)
    assert (status, plain.dump(), plain.roles()) == (3, before, set())
    assert (checkout / "functions/catalogue/queries/all.sql").exists()
    statements = (checkout / FILE).read_text()
    for _ in range(2):  # it can be run again
        plain.run(statements, plain.superuser)
    status, _, err = init(checkout, plain)
    assert (status, err) == (0, "")
    assert not (checkout / FILE).exists()
    assert plain.run("set role cacheaside_query; select count(*) from sales.orders") == [(10,)]
    status, out, _ = remove(checkout, plain)
    assert status == 3
    assert "Left for a superuser" in out
    assert out.count("    drop role cacheaside_") == 6  # in the plan, and in what is left
    assert plain.dump() == before


def test_tables_of_others_need_the_administrator_too(checkout: Path, plain: Owned) -> None:
    plain.run(
        "create table theirs (id integer); alter table theirs owner to other; create table admins (id integer)",
        plain.superuser,
    )
    init(checkout, plain)
    statements = (checkout / FILE).read_text()
    assert "grant other to plain;" in statements
    assert "postgres" not in statements  # nobody becomes a superuser
    plain.run(statements, plain.superuser)
    assert init(checkout, plain)[0] == 0
    assert plain.run("select complete from cacheaside.watched where tag = 'theirs'") == [(True,)]
    _, out, _ = remove(checkout, plain)
    assert "plain stays a member of other." in out
    assert "revoke other from plain;" in out
    plain.run("revoke other from plain", plain.superuser)


def test_user_who_may_not_create_a_schema(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "maker", "guest_shop") as owner:
        owner.run("grant connect on database guest_shop to other")
        guest = Owned(server.url_for("other", "guest_shop"), owner.superuser, server)
        status, out, _ = init(checkout, guest, "--table", "customers")
        assert status == 3
        assert "grant create on database guest_shop to other;" in out
        assert "grant maker to other;" in out


def test_second_database_of_a_server_needs_no_administrator(checkout: Path, maker: Owned, plain: Owned) -> None:
    before, empty = plain.dump(), maker.dump()
    init(checkout, maker)
    status, out, err = init(checkout, plain)
    assert (status, err) == (0, "")
    assert "so a missing grant does not show here" in " ".join(out.split())
    status, out, _ = remove(checkout, plain)
    assert status == 0
    assert "The role cacheaside_query stays: it is used in the database maker_shop." in out
    assert (plain.dump(), plain.roles()) == (before, ROLES)
    assert remove(checkout, maker)[0] == 0
    assert (maker.dump(), maker.roles()) == (empty, set())


def test_migrate_applies_no_sample(checkout: Path, plain: Owned) -> None:
    status, _, err = command(checkout, "migrate", DATABASE_URL=plain.url)
    assert (status, plain.roles()) == (3, set())
    assert "Take the sample out: .venv/bin/cacheaside init" in err


def test_error_of_migrate_says_which_statements_an_administrator_runs(checkout: Path, plain: Owned) -> None:
    shutil.rmtree(checkout / "functions/catalogue/sample")
    status, _, err = command(checkout, "migrate", DATABASE_URL=plain.url)
    assert status == 3
    assert "A superuser, on RDS the master user, must run: create role cacheaside_command login; " in err
    assert plain.roles() == set()


def test_migrate_lists_what_it_applied_and_checks(checkout: Path, maker: Owned) -> None:
    init(checkout, maker)
    catalogue = checkout / "functions/catalogue"
    write(catalogue / "migrations/0002_more.sql", "create table more (id integer);")
    write(catalogue / "queries/customer.sql", QUERY)
    assert command(checkout, "migrate") == (
        0,
        "Migrations applied:\n  catalogue/migrations/0002_more.sql\n"
        "1 query reads 1 table; every tag is right, every table is watched\n",
        "",
    )


def test_migrate_with_a_problem_is_no_success(checkout: Path, maker: Owned) -> None:
    init(checkout, maker)
    write(checkout / "functions/catalogue/queries/customer.sql", QUERY.replace("customers:{id}", "customer:{id}"))
    status, out, _ = command(checkout, "migrate")
    assert status == 1
    assert "The tags of the catalogue are not declared until this is right." in out


def test_only_a_deployment_ends_the_sign_in_with_passwords(checkout: Path, maker: Owned) -> None:
    """On RDS a member of rds_iam, and who created one, has no password any more."""
    maker.run("create role rds_iam; grant rds_iam to maker with admin option, inherit false", maker.superuser)
    members = (
        "select count(*) from pg_auth_members where roleid = 'rds_iam'::regrole and member::regrole::text ~ '^cache'"
    )
    try:
        _, out, _ = init(checkout, maker)
        assert "From then on RDS takes no password" in " ".join(out.split())
        assert maker.run(members) == [(0,)]
        with closing(psycopg2.connect(maker.url)) as deployment:
            allow_tokens(deployment)
            allow_tokens(deployment)
        assert maker.run(members) == [(3,)]
    finally:
        maker.run("drop role rds_iam", maker.superuser)
