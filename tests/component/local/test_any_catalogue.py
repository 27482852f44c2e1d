"""The commands in a checkout whose catalogue is empty, and in one whose catalogue is somebody's own."""

from __future__ import annotations

import http.client
import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from local.servers.processes import HOST
from tests.component.support.checkout import Checkout, copy_project, read_until

MIGRATION = """
create table "Invoice" ("InvoiceId" integer primary key, "Total" numeric not null);
insert into "Invoice" select number, number from generate_series(1, 10) as number;
create table leads (id integer primary key, name text not null);
insert into leads values (1, 'Ada');
select cacheaside.watch('leads');
"""
QUERY = """-- summary = "One lead"
-- ttl     = "60s"
-- returns = "one"
-- tags    = ["leads:{id}"]
-- params.id = { type = "integer", example = 1 }
select name from leads where id = %(id)s
"""
NONE_YET = "put a .sql file into"


@pytest.fixture
def empty(folder: Path) -> Checkout:
    """A checkout without the folders of the catalogue: git keeps no empty ones."""
    checkout = copy_project(folder)
    shutil.rmtree(folder / "functions/catalogue")
    return checkout


@pytest.fixture
def own(empty: Checkout) -> Checkout:
    """A checkout with another catalogue, which brings no sample."""
    catalogue = empty.folder / "functions/catalogue"
    for path, text in (("migrations/0001_crm.sql", MIGRATION), ("queries/lead.sql", QUERY)):
        (catalogue / path).parent.mkdir(parents=True)
        (catalogue / path).write_text(text)
    return empty


def cache_status(checkout: Checkout, target: str) -> str:
    with closing(http.client.HTTPConnection(HOST, checkout.port, timeout=60)) as client:
        client.request("GET", target)
        return client.getresponse().headers["Cache-Status"]


def test_check_of_an_empty_catalogue_is_one_line(empty: Checkout) -> None:
    status, out, err = empty.finish("check")
    assert (status, out, err) == (0, f"functions/catalogue has no statements yet: {NONE_YET} its folder queries/\n", "")


def test_demo_of_an_empty_catalogue_says_so(empty: Checkout) -> None:
    status, out, _ = empty.finish("demo")
    assert status == 0
    assert out.endswith(f"The catalogue has no queries yet: {NONE_YET} functions/catalogue/queries\n")


def test_empty_catalogue_is_served(empty: Checkout) -> None:
    with empty.running() as run:
        assert json.loads(empty.get("/queries"))["data"] == []
        assert json.loads(empty.get("/health"))["status"] == "ok"
        assert b"Reading openapi.json" in empty.get("/docs")
        assert json.loads(empty.get("/queries/product?id=1"))["status"] == 404
        assert read_until(run, "Logs of").count(NONE_YET) == 1
        run.terminate()
        assert "Sample data" not in run.communicate(timeout=120)[1]


def test_database_of_the_former_catalogue_is_named_as_the_cause(folder: Path) -> None:
    checkout = copy_project(folder)
    with checkout.running(SAMPLE_SIZE="0"):
        pass
    first, *_ = sorted((folder / "functions/catalogue/migrations").iterdir())
    first.rename(first.with_name("0001_another.sql"))
    status, _, err = checkout.finish("run")
    assert (status, err.count("\n")) == (3, 1)
    assert "0001_another.sql: is number 1, which was applied as 0001_shop.sql" in err
    assert "(`make clean`)" in err


def test_catalogue_of_somebody_else_is_served(own: Checkout) -> None:
    assert own.finish("check")[:2] == (0, "1 query reads 1 table; every tag is right, every table is watched\n")
    with own.running() as run:
        assert json.loads(own.get("/queries/lead?id=1")) == {"data": {"name": "Ada"}}
        assert cache_status(own, "/queries/lead?id=1").startswith("cacheaside; hit")
        assert f"curl -i '{own.url}/queries/lead?id=1' " in read_until(run, "Logs of")
