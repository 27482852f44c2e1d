"""Every event of events/ through `sam local invoke`: layers, handlers and environment as Lambda has them."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from local import engine
from local.forward import forwarded
from local.sam import ROOT, Sam, function_of
from local.stack import Stack

EVENTS = ROOT / "events"


@dataclass(frozen=True)
class Expected:
    """What the answer to an event must be: its status, its media type, and a part of its body."""

    status: int
    media_type: str = "application/json"
    contains: str = ""


PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"
HTTP_EVENTS = {
    "query_page": Expected(200, HTML, "<script>"),
    "query_catalogue": Expected(200, contains='"top_products"'),
    "query_version": Expected(200, contains="PostgreSQL"),
    "query_top_products": Expected(200, contains='"quantity"'),
    "query_revenue_by_month": Expected(200, contains='"revenue"'),
    "query_product": Expected(200, contains='"sku"'),
    "query_customer_orders": Expected(200, contains='"data"'),
    "query_head": Expected(200),
    "query_health": Expected(200, contains='"ok"'),
    "query_openapi": Expected(200, contains="3.1.0"),
    "query_docs": Expected(200, HTML, "Problems"),
    "query_not_found": Expected(404, PROBLEM),
    "query_method_not_allowed": Expected(405, PROBLEM),
    "command_place_order": Expected(200, contains='"invalidation":"done"'),
    "command_set_price": Expected(200, contains='"invalidation":"done"'),
    "invalidate_tags": Expected(200, contains='"tags"'),
    "invalidate_query": Expected(200, contains='"answers"'),
}
MIGRATE_EVENTS = ["migrate_create", "migrate_update", "migrate_delete"]


def invoke(application: Sam, event: Path) -> Any:
    command = application.command("invoke", function_of(event), "--event", str(event))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_every_event_is_tested() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == {*HTTP_EVENTS, *MIGRATE_EVENTS}


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_http_event(application: Sam, name: str) -> None:
    expected = HTTP_EVENTS[name]
    answer = invoke(application, EVENTS / f"{name}.json")
    headers = {header.lower(): value for header, value in answer["headers"].items()}
    assert (answer["statusCode"], headers["content-type"]) == (expected.status, expected.media_type), answer
    assert expected.contains in answer["body"]


def test_second_invocation_is_a_hit(application: Sam) -> None:
    event = EVENTS / "query_customer_orders.json"
    invoke(application, EVENTS / "command_place_order.json")  # takes the answer out, if there is one
    miss, hit = invoke(application, event), invoke(application, event)
    assert miss["headers"]["Cache-Status"] == "cacheaside; fwd=miss; stored"
    assert hit["headers"]["Cache-Status"].startswith("cacheaside; hit; ttl=")
    assert miss["body"] == hit["body"]


class _Receiver(BaseHTTPRequestHandler):
    answers: list[dict[str, Any]]

    def do_PUT(self) -> None:
        self.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


def test_custom_resource_answers_cloudformation(application: Sam, stack: Stack, tmp_path: Path) -> None:
    _Receiver.answers = []
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with forwarded(engine.gateway(), [("127.0.0.1", server.server_port)]):
            for name in MIGRATE_EVENTS:
                event = json.loads((EVENTS / f"{name}.json").read_text())
                event["ResponseURL"] = f"http://{engine.HOST}:{server.server_port}/answer"
                (tmp_path / f"{name}.json").write_text(json.dumps(event))
                invoke(application, tmp_path / f"{name}.json")
        server.shutdown()
    assert [answer["Status"] for answer in _Receiver.answers] == ["SUCCESS"] * 3, _Receiver.answers
