"""`python -m local check`: its output and exit status; and that `run` prints the same and continues."""

import re
import shutil
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from local.servers.postgres import PostgresServer
from migrate.upgrade import upgrade
from tests.component.support.check_command import check
from tests.component.support.checkout import Checkout, copy_project
from tests.support.root import FUNCTIONS


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A copy of the catalogue of the tests."""
    return Path(shutil.copytree(FUNCTIONS / "catalogue", tmp_path / "catalogue"))


def drop_a_tag(catalogue: Path) -> None:
    path = catalogue / "queries/top_products.sql"
    path.write_text(path.read_text().replace('"orders", "order_items", "products"', '"orders", "products"'))


PROBLEM = (
    "queries/top_products.sql:5: the query reads order_items, which is not among its tags; "
    'write -- tags    = ["orders", "products", "order_items"]'
)


def test_right_catalogue_is_one_line() -> None:
    status, out, err = check()
    queries = len(list((FUNCTIONS / "catalogue/queries").glob("*.sql")))
    assert (status, err) == (0, "")
    assert re.fullmatch(rf"{queries} queries read \d tables; every tag is right, every table is watched\n", out)


def test_forgotten_tag_fails_with_the_line_to_write(catalogue: Path) -> None:
    drop_a_tag(catalogue)
    assert check(CATALOGUE=str(catalogue)) == (1, f"{catalogue}/{PROBLEM}\n", "")


def test_paths_are_relative_to_the_current_folder(catalogue: Path) -> None:
    drop_a_tag(catalogue)
    assert check(catalogue.parent, CATALOGUE="catalogue") == (1, f"catalogue/{PROBLEM}\n", "")
    assert check(catalogue, CATALOGUE=str(catalogue)) == (1, f"{PROBLEM}\n", "")


def test_file_that_is_no_query_fails_with_its_line(catalogue: Path) -> None:
    path = catalogue / "queries/version.sql"
    path.write_text(path.read_text().replace("ttl", "tll"))
    status, out, err = check(CATALOGUE=str(catalogue))
    assert (status, err) == (1, "")
    assert out.startswith(f"{path}:2: tll is not a setting")


def test_given_database_is_read_and_not_changed(postgres: PostgresServer) -> None:
    with closing(psycopg2.connect(postgres.url)) as owner, owner.cursor() as cursor:
        owner.autocommit = True
        cursor.execute("create database own")
        url = postgres.url_for("postgres", "own")
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as own:
            status, out, err = check(DATABASE_URL=url)
            assert (status, out) == (3, "")
            assert "the database has not the schema cacheaside: run `cacheaside init`" in err
            upgrade(connection)
            own.execute("select cacheaside.unwatch('order_items')")
            connection.commit()
            status, out, err = check(DATABASE_URL=url)
            assert (status, err) == (1, "")
            assert out == (
                "tests/functions/catalogue/queries/customer_orders.sql:4: changes of order_items are not recorded; "
                "put into a migration: select cacheaside.watch('order_items');\n"
            )
        cursor.execute("drop database own with (force)")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CATALOGUE": "nowhere"}, "nowhere is no folder"),
        ({"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none"}, "there is no connection to the database: "),
        ({"DATABASE_URL": "none"}, "the URL of the database is not like postgresql://"),
    ],
)
def test_check_that_is_impossible_prints_one_line(environment: dict[str, str], says: str) -> None:
    status, out, err = check(**environment)
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("cacheaside check: ")
    assert says in err
    assert "secret" not in err


def test_run_prints_the_same_and_serves_while_a_check_runs_beside_it(folder: Path) -> None:
    checkout = copy_project(folder)
    drop_a_tag(folder / "functions/catalogue")
    with checkout.running(SAMPLE_SIZE="0") as run:
        assert b"top_products" in checkout.get("/queries")
        assert checkout.finish("check") == (1, f"functions/catalogue/{PROBLEM}\n", "")
        run.terminate()
        out, _ = run.communicate(timeout=120)
    assert f"functions/catalogue/{PROBLEM}\n" in out


def test_run_without_queries_says_nothing(checkout: Checkout) -> None:
    with checkout.running() as run:
        run.terminate()
        out, err = run.communicate(timeout=120)
    assert "every table" not in out + err
