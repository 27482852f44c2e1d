"""`cacheaside remove`: afterwards the database is as it was before `init`."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from local.servers.postgres import PostgresServer
from tests.component.support.own_database import Owned, command, owned_database, write


@pytest.fixture
def adopted(checkout: Path, shop: Owned) -> str:
    """The schema before init, which has run."""
    shop.run("create materialized view counted as select count(*) from customers")
    before = shop.dump()
    assert command(checkout, "init", "--database-url", shop.url, "--yes")[0] == 0
    assert shop.dump() != before
    return before


def test_every_trace_is_removed_and_no_row(checkout: Path, shop: Owned, adopted: str) -> None:
    shop.run("update customers set name = 'new' where id = 1; grant update (name) on customers to cacheaside_command")
    shop.run("create table later (id serial); grant usage on sequence later_id_seq to cacheaside_command")
    shop.run("drop table later")
    assert command(checkout, "remove", "--yes")[0] == 0
    assert (shop.dump(), shop.roles()) == (adopted, set())
    assert shop.run("select count(*), count(*) filter (where name = 'new') from customers") == [(10, 1)]
    assert not (checkout / "cacheaside.env").exists()
    assert command(checkout, "remove")[0] == 3  # which database?


def test_nothing_is_removed_without_consent(checkout: Path, shop: Owned, adopted: str) -> None:
    before = shop.dump()
    status, out, _ = command(checkout, "remove")
    assert status == 130
    assert "    drop schema cacheaside cascade;\n" in out
    assert "With the schema go 8 triggers on 2 tables, and the event triggers cacheaside_follow_drop," in out
    assert (shop.dump(), (checkout / "cacheaside.env").exists()) == (before, True)


def test_database_whose_answers_are_served_keeps_its_triggers(checkout: Path, shop: Owned, adopted: str) -> None:
    write(checkout / ".local/endpoints.env", f"DATABASE_URL={shop.url}\nCACHE_URL=redis://127.0.0.1:1\n")
    with (checkout / ".local/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, _, err = command(checkout, "remove", "--yes")
        assert (status, "`cacheaside run` serves this database in another terminal: stop it first" in err) == (3, True)
    assert command(checkout, "remove", "--yes")[0] == 0  # the file of a stack that was killed


def test_init_after_remove_adopts_it_again(checkout: Path, shop: Owned, adopted: str) -> None:
    command(checkout, "remove", "--yes")
    assert command(checkout, "init", "--database-url", shop.url, "--yes")[0] == 0
    assert shop.run("select count(*) from cacheaside.watched where complete") == [(2,)]


def test_view_on_our_tables_is_not_dropped_with_them(checkout: Path, shop: Owned, adopted: str) -> None:
    shop.run("create view pending as select * from cacheaside.outbox")
    status, _, err = command(checkout, "remove", "--yes")
    assert status == 3
    assert "pending: made from objects of the schema cacheaside" in err
    assert shop.run("select count(*) from cacheaside.watched") == [(2,)]


def test_rights_in_other_databases_stay(checkout: Path, shop: Owned, adopted: str, server: PostgresServer) -> None:
    with owned_database(server, "plain", "beside") as beside:
        beside.run(
            "grant select on customers to cacheaside_query; grant connect on database beside to cacheaside_query"
        )
        before = beside.dump()
        status, out, _ = command(checkout, "remove", "--yes")
        assert status == 0
        assert "Removed, apart from cacheaside_query." in out
        assert (shop.dump(), shop.roles(), beside.dump()) == (adopted, {"cacheaside_query"}, before)


def test_policy_for_a_role_leaves_the_role_and_says_so(checkout: Path, shop: Owned, adopted: str) -> None:
    shop.run("create policy all_rows on customers to cacheaside_query using (true)")
    status, out, _ = command(checkout, "remove", "--yes")
    assert status == 3
    assert "policy all_rows on table customers" in out
    shop.run("drop policy all_rows on customers")
    assert command(checkout, "remove", "--yes")[0] == 0
    assert (shop.dump(), shop.roles()) == (adopted, set())


def test_database_that_was_restored_on_another_server_is_adopted_anew(
    checkout: Path, shop: Owned, adopted: str
) -> None:
    for statement in ("drop owned by {0}", "drop role {0}"):
        shop.run(statement.format("cacheaside_query, cacheaside_command, cacheaside_invalidate"))
    status, _, err = command(checkout, "init", "--database-url", shop.url, "--yes")
    assert status == 3
    assert "the schema cacheaside is there, and its roles are not" in err
    assert command(checkout, "remove", "--yes")[0] == 0
    assert shop.dump() == adopted
    assert command(checkout, "init", "--database-url", shop.url, "--yes")[0] == 0
