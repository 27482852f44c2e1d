"""POST /commands/{name}: each command is one transaction. Its changes are then invalidated in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import bind_json
from cacheaside.drivers.cache.tags import ConfirmedTagCache
from cacheaside.drivers.guarded_tags import GuardedTagCache
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.http.application import application
from cacheaside.http.confirmations import confirm
from cacheaside.http.idempotency_header import idempotency_of
from cacheaside.http.requests import json_object
from cacheaside.settings import CacheMode, Settings
from cacheaside.writing.writer import Writer

logger = Logger()
settings = Settings.from_environment()
catalogue = Catalogue.load(Path(__file__).parents[1] / "catalogue")
tags = ConfirmedTagCache(settings.cache)
writer = Writer(GuardedTagCache(tags) if settings.cache.mode is CacheMode.NODE else tags, Commands(settings.database))
app = application(logger)


@app.post("/commands/<name>")
def run_command(name: str) -> Response[str]:
    command = catalogue.command(name)
    values = bind_json(command.parameters, json_object(app.current_event))
    idempotency = idempotency_of(app.current_event, command, values)
    return confirm(command, writer.write(command, values, idempotency))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
