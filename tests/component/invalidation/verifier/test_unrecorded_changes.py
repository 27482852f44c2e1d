"""Changes of each kind that no trigger recorded are found by the next verification.

In place of a trigger that was lost, the query's tag names another table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from cacheaside.invalidation.verification import Verification
from tests.component.support.verifier_shop import GIFT, Shop

QUERY = """\
-- summary = "A query with another tag"
-- ttl     = "10m"
-- tags    = ["gifts"]
{sql}
"""
BEFORE = """
create schema bazaar;
grant usage on schema bazaar to cacheaside_query;
alter default privileges in schema bazaar grant select on tables to cacheaside_query;
create type bazaar.size as (width int, height int);
create table bazaar.nightly (id int primary key, price int, size bazaar.size);
insert into bazaar.nightly values (1, 10, (2, 3));
create view bazaar.cheap as select * from bazaar.nightly where price < 20;
create table bazaar.sales (day date, amount int) partition by range (day);
create table bazaar.sales_2024 partition of bazaar.sales for values from ('2024-01-01') to ('2025-01-01');
"""
NIGHTLY = "select id, price from bazaar.nightly"
CHEAP = "select * from bazaar.cheap"
SALES = "select * from bazaar.sales"


class Change(NamedTuple):
    sql: str
    statements: str


CHANGES = {
    "write to a table that replaced a watched one": Change(
        NIGHTLY,
        """create table bazaar.nightly_new (like bazaar.nightly including all);
        insert into bazaar.nightly_new select * from bazaar.nightly;
        begin; drop table bazaar.nightly cascade; alter table bazaar.nightly_new rename to nightly; commit;
        update bazaar.nightly set price = 0""",
    ),
    "view in the place of a table": Change(
        NIGHTLY,
        """begin; alter table bazaar.nightly rename to items;
        create view bazaar.nightly as select * from bazaar.items; commit;
        update bazaar.items set price = 0""",
    ),
    "column lost with its type": Change("select * from bazaar.nightly", "drop type bazaar.size cascade"),
    "rows of a child by inheritance": Change(
        NIGHTLY, "create table bazaar.child () inherits (bazaar.nightly); insert into bazaar.child values (2, 20)"
    ),
    "sub-partition attached, then written to": Change(
        SALES,
        """create table bazaar.rest (day date, amount int) partition by range (day);
        create table bazaar.rest_2025 partition of bazaar.rest for values from ('2025-01-01') to ('2026-01-01');
        alter table bazaar.sales attach partition bazaar.rest for values from ('2025-01-01') to ('2027-01-01');
        insert into bazaar.rest_2025 values ('2025-06-01', 1)""",
    ),
    "view replaced": Change(
        CHEAP, "create or replace view bazaar.cheap as select * from bazaar.nightly where price < 5"
    ),
    "view dropped and created": Change(
        CHEAP, "drop view bazaar.cheap; create view bazaar.cheap as select id from bazaar.nightly"
    ),
}


@pytest.fixture
def bazaar(shop: Shop) -> Iterator[Shop]:
    shop.sql(BEFORE)
    yield shop
    shop.sql("drop schema bazaar cascade")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_change_that_no_trigger_recorded_is_found(bazaar: Shop, change: Change) -> None:
    bazaar.write_queries(report=QUERY.format(sql=change.sql))
    bazaar.ask("report")
    assert bazaar.verify() == Verification(1)
    bazaar.sql(change.statements)
    assert [stale.query for stale in bazaar.verify().stale] == ["report"]


def test_row_tag_that_covers_one_of_several_rows_is_found(shop: Shop) -> None:
    """The write is recorded, for the row that it changed."""
    shop.write_queries(gift=GIFT.replace("where id =", "where id >=").replace('"one"', '"many"'))
    shop.ask("gift", id=["299"])
    shop.sql("update gifts set price = 0 where id = 300")
    assert [stale.parameters for stale in shop.verify().stale] == [{"id": 299}]
