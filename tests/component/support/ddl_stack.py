"""The state machine of DDL and DML on the whole stack: a real cache, read and drained by the library."""

from __future__ import annotations

from typing import Final

import redis

from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError
from cacheaside.invalidation.drain import Drainer
from cacheaside.reading.entry import unpack
from cacheaside.reading.question import Question
from cacheaside.reading.reader import Reader
from cacheaside.reading.steps import Load
from cacheaside.settings import Authentication, DatabaseSettings
from local.servers.postgres import PostgresServer
from tests.component.support.ddl_machine import DdlMachine, StaleAnswer
from tests.component.support.ddl_world import DECLARED
from tests.component.support.question import question

__all__ = ["StackMachine"]

_QUESTIONS: Final = tuple(
    question(
        f"select * from ({declared.text}) as answer order by answer::text",
        tags=tuple(tag for tag in declared.resolved if not tag.endswith(":*")),
    )
    for declared in DECLARED
)


class StackMachine(DdlMachine):
    """The real outbox, drainer, cache and reader, in place of the model. No transaction stays open."""

    def __init__(self, server: PostgresServer, template: str, cache: Cache, client: redis.Redis) -> None:
        super().__init__(server, template)
        client.flushall()  # the answers of the example before
        self.queries, outbox = (
            Queries(self.settings("cacheaside_query")),
            Outbox(self.settings("cacheaside_invalidate")),
        )
        self.drain = Drainer(outbox, cache).drain
        self.load = Reader(cache, self.queries).read

    def settings(self, role: str) -> DatabaseSettings:
        return DatabaseSettings(url=self.server.url_for(role, self.name), authentication=Authentication.URL, region="")

    def end(self, session: int, end: str) -> None:
        super().end(session, "commit" if end == "open" else end)

    def check(self) -> None:
        self.done["transactions checked"] += 1
        unrecorded = self.follow()
        self.drain()
        for declared, asked in zip(DECLARED, _QUESTIONS, strict=True):
            served, source = self.served(asked)
            fresh = self.fresh(asked)
            self.done[source] += 1
            if served != fresh and not unrecorded & declared.resolved:
                raise StaleAnswer(f"{declared.text}: {source} {served!r}, now {fresh!r}")

    def served(self, asked: Question) -> tuple[bytes | str | None, str]:
        """Return the answer, or the name of the error, and where it came from."""
        try:
            outcome = self.load(asked, lambda: 29_000).outcome
        except CacheasideError as error:
            return type(error).__name__, "error"
        entry = outcome.entry
        return entry.body if entry.body is None else unpack(entry.encoding, entry.body), outcome.source.name

    def fresh(self, asked: Question) -> bytes | str | None:
        try:
            return self.queries.load(Load(asked, asked.query.timeout_ms)).body
        except CacheasideError as error:
            return type(error).__name__
