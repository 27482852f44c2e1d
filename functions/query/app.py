"""GET routes: cached answers and health here, documents in `document_routes`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.policy import ANSWER_MARGIN_MS
from cacheaside.drivers.breakers import PROBE_MS, BreakerOptions
from cacheaside.drivers.cache.cache import Cache
from cacheaside.drivers.guarded import GuardedCache, GuardedQueries
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.health import check_health
from cacheaside.http.answers import respond
from cacheaside.http.application import Application
from cacheaside.http.callers import claims_of
from cacheaside.http.documents import json_response
from cacheaside.http.messages import Invocation, Request, Response
from cacheaside.http.problems import no_such_route
from cacheaside.http.questions import Questions
from cacheaside.reading.reader import Reader
from cacheaside.runtime.after_response import AfterResponse
from cacheaside.runtime.read_metrics import ReadMetrics
from cacheaside.runtime.snapshot import after_restore
from cacheaside.settings import ApiSettings, Settings, Tracing
from query.document_routes import add_document_routes

settings, api = Settings.from_environment(), ApiSettings.from_environment()
catalogue = Catalogue.load(Path(__file__).parents[1] / "catalogue")
after_response = AfterResponse.start(os.environ)
metrics = ReadMetrics()
probe_later = partial(after_response.submit, needs_ms=PROBE_MS)
cache = GuardedCache(Cache(settings.cache), BreakerOptions(later=probe_later, on_open=metrics.breaker_counter("Cache")))
queries = GuardedQueries(
    Queries(settings.database), BreakerOptions(later=probe_later, on_open=metrics.breaker_counter("Database"))
)
if settings.tracing is Tracing.XRAY:
    from cacheaside.runtime.x_ray import traced

    cache = traced(cache, "cache", ("look", "acquire", "store", "release"), lambda step: step.keys.query)
    queries = traced(queries, "database", ("load",), lambda step: step.question.query.name)
reader = Reader(cache, queries, note_load=cache.note_load, note_overload=cache.note_overload)
questions = Questions(catalogue)
app = Application()
add_document_routes(app, catalogue, api, queries.row_types)
after_restore(cache.forget, queries.forget)


@app.route("/queries/{name}")
def answer_query(request: Request) -> Response:
    question = questions.of(request.name, request.query_string, claims_of(request))
    query = question.query
    answer = metrics.read(reader, question, request.invocation.get_remaining_time_in_millis)
    if refresh := answer.outcome.refresh:
        task = partial(metrics.refresh, reader, question, refresh, inline=after_response.inline)
        needs_ms = max(query.timeout_ms, 2 * ANSWER_MARGIN_MS)
        after_response.submit(task, needs_ms=needs_ms, on_drop=partial(reader.release, refresh))
    return respond(query, answer, request.headers)


@app.route("/queries/{name}/direct")
def answer_without_cache(request: Request) -> Response:
    if not api.developer_mode:
        detail = "This stack answers no query without its cache, because its parameter DeveloperMode is off."
        return no_such_route(request.invocation.aws_request_id, detail)
    question = questions.of(request.name, request.query_string, claims_of(request))
    answer = metrics.read_direct(reader, question, request.invocation.get_remaining_time_in_millis)
    return respond(question.query, answer, request.headers)


@app.route("/health")
def report_health(_: Request) -> Response:
    health = check_health(cache, queries)
    return json_response(health.document(), 503 if health.status == "unavailable" else 200)


@after_response.wrap
def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any]:
    return app.answer(event, context)
