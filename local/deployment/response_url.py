"""CloudFormation's side of a custom resource: the URL to which the function sends its answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from local.servers.processes import HOST

__all__ = ["receiving"]

Json = dict[str, Any]


@contextmanager
def receiving() -> Iterator[tuple[int, list[Json]]]:
    """A port of this machine that takes answers, and the list in which they arrive, until the block ends."""
    answers: list[Json] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The answer itself says more."""

    with HTTPServer((HOST, 0), Receiver) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port, answers
        finally:
            server.shutdown()
            thread.join()
