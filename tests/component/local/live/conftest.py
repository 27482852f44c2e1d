"""A stack that runs for the module, with a catalogue of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.component.support.checkout import Checkout, copy_project

_FILES: Final = {
    "migrations/0001_things.sql": """
create table things (id bigint primary key, name text not null, price numeric not null);
insert into things select id, 'thing ' || id, 19.90 from generate_series(1, 9) as id;
create table notes (id bigint primary key);
select cacheaside.watch('things');
""",
    "queries/thing.sql": """
-- summary = "One thing"
-- ttl = "1m"
-- stale = "10m"
-- returns = "one"
-- tags = ["things:{id}"]
-- params.id = { type = "integer", min = 1, example = 3 }
select id, name, price from things where id = %(id)s
""",
    "queries/things.sql": """
-- summary = "Things of a name"
-- ttl = "1m"
-- tags = ["things"]
-- params.names = { type = "text[]", default = ["thing 1"] }
-- params.limit = { type = "integer", default = 5 }
select id, name from things where name = any (%(names)s) limit %(limit)s
""",
    "queries/thing_by_table.sql": """
-- summary = "One thing, with the tag of the table"
-- ttl = "1m"
-- tags = ["things"]
-- params.number = { type = "integer", example = 3 }
select id, name from things where id = %(number)s
""",
    "queries/other_things.sql": """
-- summary = "All things but one"
-- ttl = "1m"
-- tags = ["things"]
-- params.id = { type = "integer", example = 3 }
select id, name from things where id <> %(id)s
""",
    "queries/mine.sql": """
-- summary = "The name of who asks"
-- ttl = "1m"
-- returns = "one"
-- tags = ["things"]
-- params.user = { type = "text", source = "claim:sub" }
select %(user)s as name, count(*) from things
""",
    "queries/slow.sql": """
-- summary = "Sleeps longer than it may"
-- ttl = "1m"
-- timeout = "200ms"
-- tags = ["things"]
select count(*), pg_sleep(30) from things
""",
    "queries/notes.sql": """
-- summary = "Reads a table that is not watched"
-- ttl = "1m"
-- tags = ["notes"]
select id from notes
""",
}


@pytest.fixture(scope="module")
def stopped(new_folder: Callable[[str], Path]) -> Checkout:
    """A checkout with that catalogue in which nothing runs."""
    return _checkout(new_folder("stopped"))


@pytest.fixture(scope="module")
def checkout(new_folder: Callable[[str], Path]) -> Iterator[Checkout]:
    """A checkout with that catalogue whose stack runs."""
    checkout = _checkout(new_folder("live"))
    with (checkout.folder / "run.log").open("w") as log, checkout.running(output=log, SAMPLE_SIZE="0"):
        yield checkout


def _checkout(folder: Path) -> Checkout:
    checkout = copy_project(folder)
    catalogue = folder / "functions" / "catalogue"
    shutil.rmtree(catalogue)
    for name, text in _FILES.items():
        path = catalogue / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    return checkout
