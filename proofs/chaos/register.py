"""The catalogue of a campaign: reads of one row and of all rows of the register, and a command that says who wrote.

The table, its journal and its view are those of `proofs.consistency.register`. A command also writes the name of its
operation into the journal, so that the checker finds writes that are lost or carried out twice.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from proofs.consistency.history import ROWS

__all__ = ["LONGEST_S", "random_row", "write_catalogue"]

_HOT_ROWS: Final = 8

# No answer takes longer: 4 s of waiting for the load of another request, 3 s to connect, a load of 2 s whose client
# waits 1 s longer, and 2 s for the calls to the cache.
LONGEST_S: Final = 12.0

# Short times, so that hits, stale answers, refreshes, waits and expiries all happen between two faults.
_POLICY: Final = """-- ttl = "3s"
-- stale = "2s"
-- stale_if_error = "10s"
-- timeout = "2s"
-- wait = "4s"
-- jitter = 0.3
-- returns = "one"
"""
# A call to the cache may take as long as a load. With fast loads a busy machine would mostly bypass its cache.
_SLOW: Final = "pg_sleep(0.15)"
_ROW: Final = f"""-- summary = "One row"
{_POLICY}-- tags = ["register:{{id}}"]
-- params.id = {{ type = "integer", example = 1 }}
select id, value from register_view, {_SLOW} where id = %(id)s
"""
_ROWS: Final = f"""-- summary = "All rows"
{_POLICY}-- tags = ["register"]
select array_agg(id order by id) as ids, array_agg(value order by id) as values from register_view, {_SLOW}
"""
_WRITE: Final = """-- summary = "Increment one row"
-- timeout = "2s"
-- returns = "one"
-- params.id = { type = "integer", example = 1 }
-- params.operation = { type = "text", example = "manual" }
with changed as (
    update register set value = value + 1 where id = %(id)s returning id, value
), recorded as (
    insert into register_journal (id, value, operation) select id, value, %(operation)s from changed
)
select id, value from changed
"""


def write_catalogue(folder: Path) -> None:
    """Write the queries `row` and `rows` and the command `increment`."""
    (folder / "queries" / "row.sql").write_text(_ROW, encoding="utf-8")
    (folder / "queries" / "rows.sql").write_text(_ROWS, encoding="utf-8")
    (folder / "commands" / "increment.sql").write_text(_WRITE, encoding="utf-8")


def random_row() -> int:
    """Return a row, most often one of a few, so that clients conflict."""
    return random.randrange(_HOT_ROWS if random.random() < 0.6 else ROWS)
