"""A new user's walk on a database that nobody here made: init, advise, run, hits, a write of psql, a miss, remove."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg2
import pytest

from local.adoption.sample import LIST
from local.adoption.sample import listed as listed_files
from local.servers.postgres import PostgresServer
from tests.component.support.checkout import Checkout, copy_project
from tests.support.answer import Answer
from tests.support.root import ROOT
from tests.support.wait_until import wait_until

CALLS = 12  # of each statement of the application, with other values


@dataclass(frozen=True)
class Walk:
    """A database, and what its application asks. `tag` is that of the table that `write` changes."""

    name: str
    owner: str
    asked: tuple[str, ...]
    written: tuple[str, ...]
    write: str
    tag: str


CHINOOK = Walk(
    name="chinook",
    owner="superuser",
    asked=(
        'select g."Name" as genre, sum(l."Quantity" * l."UnitPrice") as revenue from "InvoiceLine" l '
        'join "Track" t using ("TrackId") join "Genre" g using ("GenreId") group by g."Name" order by revenue desc',
        'select c."Country", count(*) as invoices, sum(i."Total") as total from "Invoice" i join "Customer" c '
        'using ("CustomerId") where i."InvoiceDate" >= \'2025-0{n}-01\' group by c."Country" order by total desc',
        'select t."TrackId", t."Name", count(*) as sold from "InvoiceLine" l join "Track" t using ("TrackId") '
        'where t."Milliseconds" > {n}0000 group by t."TrackId", t."Name" order by sold desc, t."TrackId" limit 5',
    ),
    written=('update "Customer" set "Email" = \'{n}@example.net\' where "CustomerId" = {n}',),
    write='update "InvoiceLine" set "Quantity" = "Quantity" + 1000 where "InvoiceLineId" = 1',
    tag='"InvoiceLine"',
)
PAGILA = Walk(
    name="pagila",
    owner="createrole",
    asked=(
        "SELECT category, total_sales FROM sales_by_film_category ORDER BY total_sales DESC",
        "SELECT f.film_id, f.title, count(*) AS rentals FROM rental r JOIN inventory i USING (inventory_id) "
        "JOIN film f USING (film_id) WHERE f.rating = 'PG-13' GROUP BY f.film_id ORDER BY rentals DESC, 1 LIMIT 10",
        "SELECT date_trunc('day', payment_date, 'UTC') AS day, sum(amount) AS amount FROM payment "
        "WHERE amount >= {n} GROUP BY 1 ORDER BY 1",
    ),
    written=("UPDATE film SET rental_rate = 2.99 WHERE film_id = {n}",),
    write="UPDATE rental_shop.payment SET amount = amount + 1 WHERE customer_id = 7",
    tag="rental_shop.payment",
)


@dataclass(frozen=True)
class Stage:
    """A checkout as cloned, and beside it the database with an application that uses it."""

    walk: Walk
    project: Checkout
    server: PostgresServer

    @property
    def url(self) -> str:
        return self.server.url_for("application", self.walk.name)

    def cacheaside(self, *arguments: str, status: int = 0) -> str:
        ended, out, err = self.project.finish(*arguments)
        assert ended == status, f"cacheaside {' '.join(arguments)} ended with {ended}:\n{out}\n{err}"
        return out + err

    def sql(self, *statements: str) -> None:
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in statements:
                cursor.execute(statement)

    def schema(self) -> str:
        """The whole schema with all rights, and the roles of the server."""
        programs, url = self.server.programs, self.server.url_for("postgres", self.walk.name)
        commands = (
            [programs / "pg_dump", "--schema-only", "--restrict-key=same", url],
            [programs / "pg_dumpall", "--roles-only", "--restrict-key=same", "--dbname", url],
        )
        return "".join(subprocess.run(each, check=True, capture_output=True, text=True).stdout for each in commands)


@pytest.fixture(params=[CHINOOK, PAGILA], ids=lambda walk: walk.name)
def stage(request: pytest.FixtureRequest, new_folder: Callable[[str], Path]) -> Iterator[Stage]:
    walk: Walk = request.param
    folder = new_folder(walk.name)
    settings = {"log_min_duration_statement": "0", "log_line_prefix": "%m [%p] %q%u@%d "}
    with PostgresServer(folder / "postgres", log=folder / "postgres.log", settings=settings, durable=False) as server:
        with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"create role application login {walk.owner}")
            cursor.execute(f"create database {walk.name} owner application")
        stage = Stage(walk, copy_project(folder / "clone"), server)
        catalogue = stage.project.folder / "functions" / "catalogue"  # with the sample of the tests
        (catalogue / LIST).write_text("".join(f"{line}\n" for line in listed_files(catalogue)))
        stage.sql((ROOT / "tests" / "databases" / f"{walk.name}.sql").read_text())
        for statement in (*walk.asked, *walk.written):
            stage.sql(*(statement.format(n=n % 9 + 1) for n in range(CALLS)))
        yield stage


def test_from_a_clone_to_a_hit_a_write_and_a_miss_and_back(stage: Stage) -> None:
    started, before = time.monotonic(), stage.schema()
    refused = stage.project.finish("run", DATABASE_URL=stage.url)
    assert (refused[0], "cacheaside init" in refused[2]) == (3, True)
    assert stage.schema() == before, "nothing is touched before init was asked for"

    stage.cacheaside("init", "--database-url", stage.url, "--yes")
    stage.cacheaside("advise", "--log", str(stage.server.log), "--write", "3")
    stage.cacheaside("migrate")
    assert "3 queries read" in stage.cacheaside("check")

    with (stage.project.folder / "run.log").open("w") as log, stage.project.running(output=log):
        queries = listed(stage)
        assert len(queries) == 3
        for path in map(path_of, queries):
            assert "fwd=miss" in get(stage, path).headers["cache-status"]
            hits = [get(stage, path) for _ in range(3)]
            assert all("; hit" in hit.headers["cache-status"] for hit in hits), hits[0].headers
        affected = [path_of(query) for query in queries if stage.walk.tag in query["tags"]]
        old = [get(stage, path).body for path in affected]
        stage.sql(stage.walk.write)
        wait_until(lambda: [get(stage, path).body for path in affected] != old)
        assert "; hit" in stage.cacheaside("ls") or affected
        told = json.loads(stage.cacheaside("stats", "--json"))
        assert told
    print(f"{stage.walk.name}: {time.monotonic() - started:.0f} s")

    stage.cacheaside("remove", "--yes")
    assert stage.schema() == before, "every trace is removed"


def listed(stage: Stage) -> list[dict[str, Any]]:
    queries: list[dict[str, Any]] = json.loads(get(stage, "/queries").body)["data"]
    return queries


def path_of(query: dict[str, Any]) -> str:
    given = {name: rules["example"] for name, rules in query["parameters"].items() if "example" in rules}
    return f"/queries/{query['name']}" + (f"?{urlencode(given, doseq=True)}" if given else "")


def get(stage: Stage, path: str) -> Answer:
    return stage.project.answer(path)
