"""A state machine of DDL and DML by two sessions, and a model of the cache that knows nothing but tags.

After each commit the machine does what a drainer and readers do: it takes the outbox, forgets the answers whose tags
are in it, and asks for the others again. An answer that it still has must be what the database says now.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from contextlib import closing
from typing import ClassVar, Final

import psycopg2
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.extensions import connection as Connection

from cacheaside.catalogue.tags import changed_tags
from local.servers.postgres import PostgresServer
from tests.component.support.ddl_statements import ALONE, FOCUSES, RESTORE, WRITES, Focus, statements
from tests.component.support.ddl_world import ANSWERS, DECLARED, MEND, WORLD

__all__ = ["DdlMachine", "StaleAnswer", "SweptMachine", "UnfollowedMachine"]

# The other session may hold the lock. This thread runs both, so it would never be released.
_WRITER_OPTIONS: Final = "-c lock_timeout=50ms"
_READER_OPTIONS: Final = "-c lock_timeout=5ms"
_ERROR: Final = "SQLSTATE "
_UNKNOWN: Final = _ERROR + "55P03"  # the answer waits for a lock

SESSIONS: Final = st.sampled_from((0, 0, 1))
# As a command ends.
_RECORDED_COMMIT: Final = "select cacheaside.record_unrecorded(); commit"
ENDS: Final = st.sampled_from(("commit", "commit", _RECORDED_COMMIT, "rollback", "open"))


class StaleAnswer(AssertionError):
    """A cached answer, none of whose tags is in the outbox, differs from what the database answers."""


class DdlMachine(RuleBasedStateMachine):
    """`server` has a database `template`, which is copied for each example. `done` counts what happened, over all."""

    done: ClassVar[Counter[str]] = Counter()
    # Without this, the sweep would follow a minute later.
    follow_when: ClassVar[str] = """
        do $$ begin
            if exists (select from cacheaside.names where problem is not null) then
                perform cacheaside.follow();
            end if;
        end $$"""

    def __init__(self, server: PostgresServer, template: str) -> None:
        super().__init__()
        self.server = server
        self.name = f"{template}_copy"
        with closing(self.connect("postgres", server.url)) as owner, owner.cursor() as cursor:
            cursor.execute(f"drop database if exists {self.name} with (force)")
            cursor.execute(f"create database {self.name} template {template}")
        self.drainer = self.connect("postgres", options=_WRITER_OPTIONS)
        self.reader = self.connect("cacheaside_query", options=_READER_OPTIONS)
        self.sessions = [self.connect("postgres", options=_WRITER_OPTIONS) for _ in range(2)]
        self.cached: dict[int, str] = {}

    def connect(self, role: str, url: str | None = None, options: str = "") -> Connection:
        connection = psycopg2.connect(url or self.server.url_for(role, self.name), options=options)
        connection.autocommit = True
        return connection

    def teardown(self) -> None:
        for connection in (self.drainer, self.reader, *self.sessions):
            connection.close()

    # What happens

    @initialize(focus=FOCUSES)
    def fill_the_cache(self, focus: Focus) -> None:
        self.focus = focus
        self.check()

    @rule(session=SESSIONS, parts=st.lists(statements() | statements(*WRITES), min_size=1, max_size=3), end=ENDS)
    def transact(self, session: int, parts: list[str], end: str) -> None:
        """Run statements in the open transaction or in a new one. One that PostgreSQL refuses leaves the others."""
        if not self.is_open(session):
            self.attempt(session, "begin")
        for part in parts:
            self.attempt(session, "savepoint before")
            if not self.counted(self.attempt(session, part)):
                self.attempt(session, "rollback to before")
        self.end(session, end)

    @rule(statement=statements())
    def change(self, statement: str) -> None:
        self.transact(0, [statement], "commit")

    @rule(statement=statements(*WRITES))
    def write(self, statement: str) -> None:
        self.transact(0, [statement], "commit")

    @precondition(lambda self: self.is_open(0) or self.is_open(1))
    @rule(session=SESSIONS, end=ENDS)
    def end(self, session: int, end: str) -> None:
        if self.is_open(session) and end != "open":
            self.attempt(session, end)
            self.check()

    @rule(statement=statements(*ALONE))
    def do_alone(self, statement: str) -> None:
        """Run what may not be part of a transaction, and may wait for all others."""
        self.end(0, "commit")
        self.end(1, "commit")
        if statement.startswith(RESTORE):
            self.dump_and_restore(statement.removeprefix(RESTORE + " "))
        else:
            self.counted(self.attempt(0, statement, [list(WORLD)] if statement == MEND else None))
        self.check()

    def is_open(self, session: int) -> bool:
        return self.sessions[session].info.transaction_status != TRANSACTION_STATUS_IDLE

    def attempt(self, session: int, statement: str, values: list[object] | None = None) -> bool:
        """Run a statement. PostgreSQL may refuse it, but not because of an object of the product.

        A lock of the other session is no excuse: the product's own statements must not wait for it.
        """
        refused: psycopg2.Error | None = None
        with self.sessions[session].cursor() as cursor:
            try:
                cursor.execute(statement, values)
            except psycopg2.Error as error:
                refused = error
        told = f"{refused}{refused.diag.context}" if refused else ""
        assert "cacheaside" not in told, f"{statement}\n{told}"
        self.check_warnings(session, statement)
        return not refused

    def counted(self, done: bool) -> bool:
        self.done["statements" if done else "refused statements"] += 1
        return done

    def check_warnings(self, session: int, statement: str) -> None:
        """No change is left unfollowed, unless the other session holds a lock. Then the sweep follows later."""
        warnings = [notice for notice in self.sessions[session].notices if "could not follow" in notice]
        self.sessions[session].notices.clear()
        if self.is_open(1 - session):
            self.done["changes followed later"] += len(warnings)
            warnings = [warning for warning in warnings if "lock timeout" not in warning]
        assert not warnings, f"{statement}\n{warnings}"

    def dump_and_restore(self, table: str) -> None:
        url = self.server.url_for("postgres", self.name)
        programs = self.server.programs
        environment = {**os.environ, "PGOPTIONS": "-c lock_timeout=200ms"}
        dump = [programs / "pg_dump", "--clean", "--if-exists", "--lock-wait-timeout=50", "-t", table, url]
        restore = [programs / "psql", "-qX1", "-v", "ON_ERROR_STOP=1", url]
        dumped = subprocess.run(dump, capture_output=True, text=True, check=False)
        restored = subprocess.run(
            restore, input=dumped.stdout, env=environment, capture_output=True, text=True, check=False
        )
        self.done["restored tables"] += not (dumped.returncode or restored.returncode)
        assert "could not follow" not in restored.stderr, restored.stderr
        assert not restored.returncode or "cacheaside" not in restored.stderr, restored.stderr

    # What must hold

    def check(self) -> None:
        """Compare the answers that no recorded change has invalidated with the database."""
        self.done["transactions checked"] += 1
        unrecorded = self.follow()
        with self.drainer.cursor() as cursor:
            cursor.execute("delete from cacheaside.outbox returning change")
            changed = set(changed_tags(change for (change,) in cursor.fetchall()))
        kept = {at: answer for at, answer in self.cached.items() if not changed & DECLARED[at].resolved}
        with self.reader.cursor() as cursor:
            cursor.execute(ANSWERS, [[declared.text for declared in DECLARED]])
            answers = [answer for (answer,) in cursor.fetchall()]
        self.done["hits compared"] += len(kept)
        for at, answer in enumerate(answers):
            if answer == _UNKNOWN:
                continue
            if kept.get(at, answer) != answer and not unrecorded & DECLARED[at].resolved:
                raise StaleAnswer(f"{DECLARED[at].text}: cached {kept[at]}, now {answer}, recorded {sorted(changed)}")
            if not answer.startswith(_ERROR):
                kept.setdefault(at, answer)
        self.cached = kept

    def follow(self) -> set[str]:
        """Follow the schema as the sweep does, if that is needed. Returns the names with unrecorded changes."""
        with self.drainer.cursor() as cursor:
            cursor.execute(self.follow_when)
            cursor.execute("select tag from cacheaside.names where problem is not null")
            return {tag for (tag,) in cursor.fetchall()}


class SweptMachine(DdlMachine):
    """`template` has no event triggers: the sweep follows the schema. It does so before each check."""

    follow_when = "select cacheaside.follow()"


class UnfollowedMachine(DdlMachine):
    """Wrong on purpose: `template` has no event triggers, and nothing else follows the schema."""

    follow_when = "select"
