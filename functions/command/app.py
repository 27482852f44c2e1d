"""POST /commands/{name}: each command is one transaction. Its changes are then invalidated in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_json
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.guarded_tags import GuardedTagCache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.http.application import Application
from cacheaside.http.callers import claims_of
from cacheaside.http.confirmations import confirm
from cacheaside.http.idempotency_header import idempotency_of
from cacheaside.http.messages import Invocation, Request, Response
from cacheaside.http.requests import json_object
from cacheaside.settings import CacheMode, Settings, Tracing
from cacheaside.writing.writer import Writer

settings = Settings.from_environment()
catalogue = Catalogue.load(Path(__file__).parents[1] / "catalogue")
confirmed = ConfirmedTagCache(settings.cache)
tags = GuardedTagCache(confirmed) if settings.cache.mode is CacheMode.NODE else confirmed
commands = Commands(settings.database)
if settings.tracing is Tracing.XRAY:
    from cacheaside.runtime.x_ray import traced

    tags = traced(tags, "cache", ("invalidate_tags",))
    commands = traced(commands, "database", ("execute", "changes", "mark_drained"), lambda it: getattr(it, "name", ""))
writer = Writer(tags, commands)
app = Application()


@app.route("/commands/{name}")
def run_command(request: Request) -> Response:
    command = catalogue.command(request.name)
    values = bind_json(command.parameters, json_object(request), claims_of(request))
    idempotency = idempotency_of(request, command, values)
    return confirm(command, writer.write(command, values, idempotency))


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    return app.answer(event, context)
