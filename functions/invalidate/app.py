"""POST /invalidations: takes answers out of the cache for an operator who knows better than their age."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from cacheaside.catalogue import Catalogue
from cacheaside.drivers.cache import Cache
from cacheaside.http.answers import json_response
from cacheaside.http.application import application
from cacheaside.http.requests import json_object
from cacheaside.invalidation import invalidate
from cacheaside.settings import Settings

logger = Logger()
settings = Settings.from_environment()
catalogue = Catalogue.load(Path(__file__).parents[1])
cache = Cache(settings.cache)
app = application(logger)


@app.post("/invalidations")
def invalidate_answers() -> Response[str]:
    return json_response({"data": invalidate(cache, catalogue, json_object(app.current_event))})


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
