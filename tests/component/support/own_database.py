"""Databases as a user has them, a catalogue with a sample, and the command line in a copy of this project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from local.adoption.sample import LIST, listed
from local.servers.postgres import PostgresServer

__all__ = ["Owned", "command", "owned_database", "ship_sample"]

# The shop of the shipped sample has a table of the same name.
SCHEMA = """
create table customers (id integer primary key, name text not null);
insert into customers select n, 'customer ' || n from generate_series(1, 10) as n;
create schema sales;
create table sales.orders (id integer primary key, customer_id integer references customers, total integer);
insert into sales.orders select n, n, 10 * n from generate_series(1, 10) as n;
create view sales.totals as select sum(total) from sales.orders;
create table alembic_version (version_num text);
create unlogged table visits (at timestamptz);
"""
QUERY = """\
-- summary = "One customer"
-- ttl     = "60s"
-- returns = "one"
-- tags    = ["customers:{id}"]
-- params.id = { type = "integer" }
select id, name from customers where id = %(id)s
"""
SAMPLE = {
    "migrations/0001_shop.sql": "create table customers (id integer);",
    "queries/all.sql": '-- summary = "All"\n-- ttl = "60s"\n-- tags = ["customers"]\nselect id from customers',
    "sample/1_customers.sql": "-- rows = 1\ninsert into customers values (%(first)s)",
}


@dataclass(frozen=True)
class Owned:
    """A database, with the URL of its owner."""

    url: str
    superuser: str  # the URL of the superuser, in the same database
    server: PostgresServer

    def run(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(url or self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

    def dump(self) -> str:
        """The schema, as `pg_dump` prints it, without the random key that it prints."""
        command = [self.server.programs / "pg_dump", "--schema-only", self.superuser]
        text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return "\n".join(line for line in text.splitlines() if "restrict " not in line)

    def roles(self) -> set[str]:
        return {name for (name,) in self.run("select rolname from pg_roles where rolname ~ '^cacheaside'")}


@contextmanager
def owned_database(server: PostgresServer, owner: str, name: str, schema: str = SCHEMA) -> Iterator[Owned]:
    """Create a database of a user that exists, and drop it afterwards."""
    database = Owned(server.url_for(owner, name), server.url_for("postgres", name), server)
    admin = server.url_for("postgres", "postgres")
    database.run(f"create database {name} owner {owner}", admin)
    try:
        database.run(schema)
        yield database
    finally:
        database.run(f"drop database {name} with (force)", admin)


def ship_sample(checkout: Path) -> Path:
    """Replace the catalogue of a copied project by one with a small sample, and return it."""
    catalogue = checkout / "functions/catalogue"
    for path in sorted(catalogue.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, text in SAMPLE.items():
        write(catalogue / name, text)
    write(catalogue / LIST, "".join(f"{line}\n" for line in listed(catalogue)))
    return catalogue


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def command(checkout: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run `cacheaside` there. Return its exit status, stdout and stderr."""
    given = {"PYTHONPATH": "layers/cacheaside:functions:."} | environment
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=checkout,
        env=inherited | given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr
