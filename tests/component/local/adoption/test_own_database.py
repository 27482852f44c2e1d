"""`make run` on somebody's own database: each function acts as its own role, and the terminal tells what is missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.acting_roles import acting_options
from local.postgres_urls import without_credentials
from local.servers.postgres import PostgresServer
from tests.component.support.checkout import Checkout
from tests.component.support.own_database import QUERY, Owned, command, owned_database, write
from tests.support.wait_until import wait_until

SECRET = QUERY.replace("customers", "secrets")


@contextmanager
def running(checkout: Path, output: Path, **environment: str) -> Iterator[Checkout]:
    api = Checkout(checkout)
    with output.open("w") as file, api.running(output=file, **environment):
        yield api


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output.txt"


def test_missing_grant_shows_as_in_a_deployment(checkout: Path, shop: Owned, output: Path) -> None:
    command(checkout, "init", "--database-url", shop.url, "--yes")
    write(checkout / "functions/catalogue/queries/customer.sql", QUERY)
    write(checkout / "functions/catalogue/queries/secret.sql", SECRET)
    shop.run("create table secrets as select * from customers; revoke select on secrets from cacheaside_query")
    with running(checkout, output) as api:
        assert json.loads(api.get("/queries/customer?id=1"))["data"]["name"] == "customer 1"
        problems = [json.loads(api.get(f"/queries/secret?id={number}")) for number in range(12)]
        assert {problem["status"] for problem in problems} == {500}
        assert "secrets" not in str(problems)  # the cause goes to the terminal only
    said = output.read_text()
    cause = "queries/secret.sql: the database refused the statement: permission denied for table secrets"
    assert said.splitlines().count(cause) == 1
    assert "queries/secret.sql: the same 10 times" in said
    assert f"Database: {without_credentials(shop.url)}" in said
    assert "Traceback" not in said


def test_verifier_and_sweeps_find_nothing_missing(checkout: Path, shop: Owned, output: Path) -> None:
    command(checkout, "init", "--database-url", shop.url, "--yes")
    write(checkout / "functions/catalogue/queries/customer.sql", QUERY)
    with running(checkout, output) as api:
        api.get("/queries/customer?id=1")
        shop.run("update customers set name = 'new' where id = 1")
        # Half of the ttl: without an invalidation the old answer stays for longer.
        wait_until(lambda: json.loads(api.get("/queries/customer?id=1"))["data"]["name"] == "new", at_most_s=30)
    assert "on schedule" not in output.read_text()
    log = checkout / ".local/log/InvalidateFunction.log"
    assert '"level":"ERROR"' not in log.read_text()


def test_it_runs_without_init_as_far_as_the_rights_suffice(
    checkout: Path, server: PostgresServer, output: Path
) -> None:
    shutil.rmtree(checkout / "functions/catalogue")
    with owned_database(server, "maker", "maker_shop") as shop:
        with running(checkout, output, DATABASE_URL=shop.url):
            pass
        said = output.read_text()
        assert "Here the functions act as maker, not as cacheaside_query" in said
        assert "grant cacheaside_query, cacheaside_command, cacheaside_invalidate to maker;" in said


def test_settings_of_the_role_hold_and_those_of_the_user_do_not(checkout: Path, server: PostgresServer) -> None:
    with owned_database(server, "maker", "maker_shop") as shop:
        command(checkout, "init", "--database-url", shop.url, "--yes")
        shop.run("alter role cacheaside_query set search_path = 'a b', public")
        shop.run("alter role cacheaside_query set application_name = E'a\\tb'")
        shop.run("alter role maker set work_mem = '7MB'", shop.superuser)
        options, warning = acting_options(shop.url)
        assert warning == ""
        assert '-c search_path="a\\ b",\\ public' in options["cacheaside_query"]
        assert "-c default_transaction_read_only=on" in options["cacheaside_query"]
        assert "-c application_name=a\\\tb" in options["cacheaside_query"]
        assert "-c work_mem=4096" in options["cacheaside_query"]
        shop.run("alter role maker reset work_mem", shop.superuser)
