"""Descriptions of rows as a deployment writes them, and as the query function of each version reads them."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.columns import RowTypes
from cacheaside.drivers.guarded import GuardedQueries
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import DatabaseUnavailable, StatementFailed
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from migrate.described_rows import describe_rows
from migrate.upgrade import FUNCTIONS
from tests.component.support.session import Session

PRODUCT = ["id", "sku", "name", "category", "price", "sold"]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A copy of the catalogue."""
    return Path(shutil.copytree(FUNCTIONS / "catalogue", tmp_path / "catalogue"))


def edit(catalogue: Path, old: str, new: str, file: str = "queries/product.sql") -> None:
    path = catalogue / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def deploy(session: Session, catalogue: Path) -> None:
    with closing(psycopg2.connect(session.url)) as connection:
        describe_rows(connection, catalogue)


def queries_of(postgres: PostgresServer, session: Session) -> GuardedQueries:
    """The driver of a new sandbox."""
    url = postgres.url_for("cacheaside_query", session.url.rpartition("/")[2])
    return GuardedQueries(Queries(DatabaseSettings(url=url, authentication=Authentication.URL, region="")))


def read(postgres: PostgresServer, session: Session, catalogue: Path) -> RowTypes:
    return queries_of(postgres, session).row_types(Catalogue.load(catalogue))


def names(described: RowTypes, place: str = "queries/product") -> list[str]:
    return [column.name for column in described[place].columns]


def test_deployment_describes_every_statement(postgres: PostgresServer, session: Session, catalogue: Path) -> None:
    deploy(session, catalogue)
    described = read(postgres, session, catalogue)
    assert sorted(described) == [
        "commands/place_order",
        "commands/set_price",
        "queries/customer_orders",
        "queries/product",
        "queries/revenue_by_month",
        "queries/top_products",
        "queries/version",
    ]
    assert names(described) == PRODUCT
    [price] = [column for column in described["queries/product"].columns if column.name == "price"]
    assert (price.type, price.example) == ("numeric", 9.99)
    assert described["queries/product"].touches["products:{id}"] == "update products set sku = sku where id = {id}"
    assert described["commands/set_price"].touches == {}


def test_former_code_finds_its_own_descriptions(
    postgres: PostgresServer, session: Session, catalogue: Path, tmp_path: Path
) -> None:
    former = Path(shutil.copytree(catalogue, tmp_path / "former"))
    deploy(session, former)
    edit(catalogue, "category, ", "")
    deploy(session, catalogue)
    assert names(read(postgres, session, catalogue)) == [name for name in PRODUCT if name != "category"]
    assert names(read(postgres, session, former)) == PRODUCT


def test_parameter_of_another_type_is_another_statement(
    postgres: PostgresServer, session: Session, catalogue: Path
) -> None:
    edit(catalogue, "select", "select %(id)s as asked,")
    deploy(session, catalogue)
    edit(catalogue, 'type = "integer"', 'type = "number"')
    assert "queries/product" not in read(postgres, session, catalogue)
    deploy(session, catalogue)
    assert read(postgres, session, catalogue)["queries/product"].columns[0].type == "numeric"


def test_type_that_was_changed_is_described_by_the_next_deployment(
    postgres: PostgresServer, session: Session, catalogue: Path
) -> None:
    deploy(session, catalogue)
    session.run("alter table products alter column sku type varchar(50)")

    def type_of_sku() -> str:
        columns = read(postgres, session, catalogue)["queries/product"].columns
        return next(column.type for column in columns if column.name == "sku")

    assert type_of_sku() == "text"
    deploy(session, catalogue)
    assert type_of_sku() == "character varying"


def test_ten_latest_versions_of_a_statement_are_kept(session: Session, catalogue: Path) -> None:
    for version in ("n0", "n1", "n2", "n3", "n4", "n0", "n5", "n6", "n7", "n8", "n9", "n10", "n11"):
        edit(catalogue, "select", f"select 1 as {version},")
        deploy(session, catalogue)
        edit(catalogue, f"select 1 as {version},", "select")
    kept = session.run("select columns->0->>0 from cacheaside.described where place = 'queries/product'")
    assert sorted(kept) == sorted((f"n{number}",) for number in (0, *range(3, 12)))
    assert session.run("select count(*) from cacheaside.described where place = 'queries/version'") == [(1,)]


def test_statement_that_cannot_be_described_is_left_out(
    postgres: PostgresServer, session: Session, catalogue: Path
) -> None:
    edit(catalogue, "from products", "from no_such_table")
    edit(catalogue, "returning", "returning no_such_column,", "commands/set_price.sql")
    deploy(session, catalogue)
    assert len(read(postgres, session, catalogue)) == 5


def test_descriptions_are_asked_for_until_all_are_there(
    postgres: PostgresServer, session: Session, catalogue: Path
) -> None:
    queries = queries_of(postgres, session)
    loaded = Catalogue.load(catalogue)
    assert queries.row_types(loaded) == {}
    edit(catalogue, "price,", "price as was,")
    deploy(session, catalogue)
    assert "queries/version" in queries.row_types(loaded)
    assert "queries/product" not in queries.row_types(loaded)
    edit(catalogue, "price as was,", "price,")
    deploy(session, catalogue)
    described = queries.row_types(loaded)
    assert names(described) == PRODUCT
    session.run("delete from cacheaside.described")
    assert queries.row_types(loaded) == described


def test_database_that_lacks_them_is_a_database_error(
    postgres: PostgresServer, session: Session, catalogue: Path
) -> None:
    queries = queries_of(postgres, session)
    session.run("drop table cacheaside.described")
    with pytest.raises(StatementFailed):
        queries.row_types(Catalogue.load(catalogue))
    unreachable = DatabaseSettings(url="postgresql://q@127.0.0.1:1/x", authentication=Authentication.URL, region="")
    with pytest.raises(DatabaseUnavailable):
        GuardedQueries(Queries(unreachable)).row_types(Catalogue.load(catalogue))
