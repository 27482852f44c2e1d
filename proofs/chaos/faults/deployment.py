"""Deployments under load: old and new code answer at once, a catalogue is edited, and a migration runs.

The new code answers like the old one. Its entries must not be taken for those of the old one, or the other way round.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg2

import cacheaside
from cacheaside.reading.entry import FORMAT_VERSION
from migrate.upgrade import upgrade
from proofs.chaos.faults.fault import Fault, FaultSteps
from proofs.consistency.register import TABLE

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["DEPLOYMENT_FAULTS"]

NewCode = Callable[[Path, random.Random], None]

_BOTH_S: Final = (1.0, 4.0)
_KILLS: Final = 3
_KILL_S: Final = (0.1, 0.5)
_LIBRARY: Final = Path(cacheaside.__file__).parent
_FORMAT: Final = f"FORMAT_VERSION: Final = {FORMAT_VERSION}\n"
_VALUE: Final = re.compile(r"\bvalue from register_view\b")


def _other_statement(functions: Path, rng: random.Random) -> None:
    """Have the same answers come from another text, of another type."""
    for query in (functions / "catalogue" / "queries").glob("row.sql"):
        text, times = _VALUE.subn("value::numeric from register_view", query.read_text(encoding="utf-8"))
        if times != 1:
            raise ValueError(f"{query.name} does not read the register")
        _replace(query, text)


def _other_policy(functions: Path, rng: random.Random) -> None:
    """Shorten the ttl: an entry of the old code is fresh for longer than the new code allows."""
    for query in (functions / "catalogue" / "queries").glob("row*.sql"):
        text = re.sub(r'^-- ttl = ".*"$', '-- ttl = "1s"', query.read_text(encoding="utf-8"), flags=re.MULTILINE)
        _replace(query, text)


def _replace(file: Path, text: str) -> None:
    """Write the file in one step. A sandbox that starts just then must not read half of it."""
    complete = file.with_name(f".{file.name}")  # no name that a catalogue reads
    complete.write_text(text, encoding="utf-8")
    complete.replace(file)


def _other_format(functions: Path, rng: random.Random) -> None:
    """Put a library beside the code, whose entries have the next format version. It is found before the layer."""
    shutil.copytree(_LIBRARY, functions / "cacheaside", ignore=shutil.ignore_patterns("__pycache__"))
    entry = functions / "cacheaside" / "reading" / "entry.py"
    text = entry.read_text(encoding="utf-8")
    if text.count(_FORMAT) != 1:
        raise ValueError("the format version is not where it is expected")
    entry.write_text(text.replace(_FORMAT, f"FORMAT_VERSION: Final = {FORMAT_VERSION + 1}\n"), encoding="utf-8")


def _deploy(change: NewCode, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Have changed code answer a part of the requests for a while."""
    with _new_code(change, stack, rng) as functions, stack.deployed(functions):
        yield rng.uniform(*_BOTH_S)


def _kill_deployed(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Kill sandboxes of old and new code while both answer."""
    with _new_code(_other_statement, stack, rng) as functions, stack.deployed(functions):
        for _ in range(_KILLS):
            yield rng.uniform(*_KILL_S)
            with suppress(ProcessLookupError, IndexError):  # it has ended meanwhile, or none runs
                os.kill(rng.choice(stack.sandboxes(rng.choice(("QueryFunction", "CommandFunction")))), signal.SIGKILL)
        yield rng.uniform(*_KILL_S)


@contextmanager
def _new_code(change: NewCode, stack: ChaosStack, rng: random.Random) -> Iterator[Path]:
    """Make a changed copy of the functions that are served, for the block."""
    with tempfile.TemporaryDirectory(prefix="deployed-", dir=stack.folder) as name:
        functions = Path(name) / "functions"
        shutil.copytree(stack.functions, functions, symlinks=True)
        change(functions, rng)
        yield functions


def _edit(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Replace all sandboxes at once, twice: the catalogue is edited, and the edit is taken back."""
    [row] = stack.catalogue.glob("queries/row.sql")
    before = row.read_text(encoding="utf-8")
    try:
        _other_statement(stack.functions, rng)
        yield rng.uniform(*_BOTH_S)
    finally:
        _replace(row, before)


def _migrate(stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Add a migration that changes the table, and apply it, as the migrate function does."""
    migrations = stack.catalogue / "migrations"
    number = max(int(file.name[:4]) for file in migrations.glob("*.sql")) + 1
    text = f"alter table {TABLE} add column noted_{number} text default 'none';\n"
    (migrations / f"{number:04}_note.sql").write_text(text, encoding="utf-8")
    with closing(psycopg2.connect(stack.owner_url)) as connection:
        upgrade(connection, stack.functions)
    yield rng.uniform(*_KILL_S)


DEPLOYMENT_FAULTS: Final[Sequence[Fault]] = (
    Fault("old and new code at once: another statement", "functions", partial(_deploy, _other_statement)),
    Fault("old and new code at once: a shorter ttl", "functions", partial(_deploy, _other_policy)),
    Fault("old and new code at once: another format of entries", "functions", partial(_deploy, _other_format)),
    Fault("sandboxes of old and new code killed", "functions", _kill_deployed),
    Fault("catalogue edited, all sandboxes replaced", "functions", _edit),
    Fault("a migration while requests go on", "database", _migrate),
)
