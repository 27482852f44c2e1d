"""Requests as API Gateway sends them, and as other senders of its events do."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from cacheaside.http.messages import Request
from tests.support.root import ROOT


def request(event: dict[str, Any]) -> Request:
    return Request(event, SimpleNamespace(aws_request_id="", get_remaining_time_in_millis=lambda: 1))


def test_names_of_headers_are_in_lower_case_also_from_sam_local() -> None:
    event = json.loads((ROOT / "events" / "command_unknown.json").read_text())
    sent = {name.title(): value for name, value in event["headers"].items()}
    assert "Content-Type" in sent
    assert request(event | {"headers": sent}).headers == event["headers"]


def test_parts_that_an_event_lacks_are_empty() -> None:
    event = {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/health", "headers": None}
    assert (request(event).headers, request(event).query_string) == ({}, "")
