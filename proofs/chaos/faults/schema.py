"""Changes of the schema behind the queries, as migrations, nightly jobs and restores do them.

Each is one transaction that keeps the table locked. No value of a row gets lost or older by it.
"""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

import psycopg2
from psycopg2.extensions import cursor

from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.consistency.register import TABLE
from proofs.consistency.schema_changes import SchemaChange, change_schema, move_partition, replace_view, swap

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["SCHEMA_FAULTS"]

_ATTEMPTS_S: Final = 20.0  # a change waits a second for its lock, so that others do not wait long, and tries again
_PAUSE_S: Final = (0.1, 0.5)

_TRUNCATE: Final = f"""
create temporary table kept on commit drop as select id, value from {TABLE};
truncate {TABLE};
insert into {TABLE} (id, value) select id, value from kept
"""
_RENAME_AND_BACK: Final = f"alter table {TABLE} rename to register_away; alter table register_away rename to {TABLE}"
_ADD_COLUMN: Final = f"""
alter table {TABLE} drop column if exists note;
alter table {TABLE} add column note text default 'none'
"""
_DROP_TYPE: Final = f"""
create type register_mood as enum ('calm', 'busy');
alter table {TABLE} add column mood register_mood not null default 'calm';
drop type register_mood cascade
"""
_JOURNAL: Final = "register_journal"  # its rows are the history of the campaign
_PSQL_COMMAND: Final = re.compile(r"^\\.*$", re.MULTILINE)


def _change(change: SchemaChange, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Do the change, at the latest when no other lock is in its way any more. Raises psycopg2.Error if one stays."""
    deadline = time.monotonic() + _ATTEMPTS_S
    with closing(psycopg2.connect(stack.owner_url)) as owner:
        while True:
            try:
                change_schema(owner, change, rng)
                break
            except psycopg2.errors.OperationalError:  # its lock took too long, or it was the victim of a deadlock
                if time.monotonic() > deadline:
                    raise
            yield rng.uniform(*_PAUSE_S)
    yield rng.uniform(*_PAUSE_S)


def _execute(statements: str, cur: cursor, rng: random.Random) -> None:
    cur.execute(statements)


def _restore(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Dump table and view, and restore them, as pg_dump and psql do. No writer comes between the two."""
    pg_dump = str(stack.postgres.programs / "pg_dump")
    command = [pg_dump, "--inserts", "-t", f"{TABLE}*", "-T", _JOURNAL, stack.owner_url]
    with closing(psycopg2.connect(stack.owner_url)) as owner, owner, owner.cursor() as cur:
        cur.execute(f"lock table {TABLE} in share row exclusive mode")
        dumped = subprocess.run(command, capture_output=True, check=True, text=True)
        cur.execute(f"drop table {TABLE} cascade")
        cur.execute(_PSQL_COMMAND.sub("", dumped.stdout))
    yield rng.uniform(*_PAUSE_S)


def _fault(name: str, change: SchemaChange) -> Fault:
    return Fault(f"schema: {name}", "database", partial(_change, change))


SCHEMA_FAULTS: Final[Sequence[Fault]] = (
    _fault("table replaced by a copy", swap),
    _fault("view replaced", replace_view),
    _fault("partition detached, changed, attached", move_partition),
    _fault("table renamed, and back", partial(_execute, _RENAME_AND_BACK)),
    _fault("column added", partial(_execute, _ADD_COLUMN)),
    _fault("type of a column dropped, cascade", partial(_execute, _DROP_TYPE)),
    _fault("table truncated and filled again", partial(_execute, _TRUNCATE)),
    Fault("schema: table and view dumped and restored", "database", _restore),
)
