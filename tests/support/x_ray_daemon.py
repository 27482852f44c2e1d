"""A stand-in for the X-Ray daemon: it receives packets, and checks each by the rules of segment documents."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

__all__ = ["HEADER", "PARENT", "ROOT_ID", "Daemon", "x_ray_daemon"]

ROOT_ID: Final = "1-5759e988-bd862e3fe1be46a994272793"
PARENT: Final = "53995c3f42cd8ad8"
HEADER: Final = f"Root={ROOT_ID};Parent={PARENT};Sampled=1;Lineage=1:2a3b4c5d:0"
# Of a subsegment that is sent by itself: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
REQUIRED: Final = {"type", "id", "trace_id", "parent_id", "name", "start_time", "end_time"}
OPTIONAL: Final = {"namespace", "annotations", "error", "fault"}


class Daemon:
    """The packets that arrived at its socket."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self._ids: set[str] = set()

    def received(self) -> list[dict[str, Any]]:
        """Return the documents since the last call. On one machine, a packet has arrived when it is sent."""
        documents = []
        while True:
            try:
                documents.append(self._document(self._udp.recv(65_536)))
            except BlockingIOError:
                return documents

    def _document(self, packet: bytes) -> dict[str, Any]:
        first, _, rest = packet.partition(b"\n")
        assert json.loads(first) == {"format": "json", "version": 1}
        document: dict[str, Any] = json.loads(rest)
        assert document.keys() >= REQUIRED
        assert document.keys() <= REQUIRED | OPTIONAL
        assert (document["type"], document["trace_id"], document["parent_id"]) == ("subsegment", ROOT_ID, PARENT)
        assert re.fullmatch("[0-9a-f]{16}", document["id"])
        assert document["id"] not in self._ids
        self._ids.add(document["id"])
        assert 1.4e9 < document["start_time"] <= document["end_time"] < document["start_time"] + 600
        assert re.fullmatch(r"[\w \-.:/%&#=+\\@]{1,200}", document["name"])
        assert all(re.fullmatch(r"\w+", key) for key in document["annotations"])
        return document


@contextmanager
def x_ray_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Run the stand-in, with the environment of a sampled invocation."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{udp.getsockname()[1]}")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", HEADER)
        yield Daemon(udp)
