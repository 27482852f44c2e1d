"""Invalidates cached answers after a change: on a schedule, by polling, and on POST /invalidations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.drivers.cache.verified import VerifiedCache
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.http.application import Application
from cacheaside.http.documents import json_response
from cacheaside.http.messages import Invocation, Request, Response
from cacheaside.http.requests import json_object
from cacheaside.invalidation.by_hand import invalidate
from cacheaside.invalidation.drain import Drainer
from cacheaside.invalidation.sweep import Sweep
from cacheaside.invalidation.verifier import Verifier
from cacheaside.runtime.sweep_metrics import measured_sweep
from cacheaside.settings import InvalidateSettings, InvalidationMode, Tracing

# The schedule invokes each minute. Slightly longer than that, so that an invocation polls at any time.
POLL_S = 63.0
# Kept free for the rest of the sweep after polling.
AFTER_POLLING_S = 45.0

settings = InvalidateSettings.from_environment()
catalogue = Catalogue.load(Path(__file__).parents[1] / "catalogue")
cache = VerifiedCache(settings.cache)
outbox = Outbox(settings.database)
drainer = Drainer(outbox, cache)
if settings.tracing is Tracing.XRAY:
    from cacheaside.runtime.x_ray import traced

    drainer = traced(drainer, "outbox", ("drain",))
verifier = Verifier(cache, Queries(settings.queries), catalogue, drainer.drain_and_report_age)
sweep = Sweep(outbox, drainer.drain, verifier.verify)
app = Application()


@app.route("/invalidations")
def invalidate_answers(request: Request) -> Response:
    return json_response({"data": invalidate(cache, catalogue, json_object(request))})


def handler(event: dict[str, Any], context: Invocation) -> dict[str, Any] | None:
    if not isinstance(event, dict) or "routeKey" in event:
        return app.answer(event, context)
    polling = settings.mode is InvalidationMode.POLL
    left_s = context.get_remaining_time_in_millis() / 1000
    measured_sweep(sweep, min(POLL_S, left_s - AFTER_POLLING_S) if polling else 0.0)
    return None
