"""Receives the response that a custom resource sends to CloudFormation's response URL."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from local.servers.processes import HOST

__all__ = ["response_server"]

Json = dict[str, Any]


@contextmanager
def response_server() -> Iterator[tuple[int, list[Json]]]:
    """Listen on a port of this machine within the block. Yield the port, and the list that receives the responses."""
    responses: list[Json] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            responses.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer((HOST, 0), Receiver) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port, responses
        finally:
            server.shutdown()
            thread.join()
