"""HTTP on 127.0.0.1, answered by the functions of the template as API Gateway would have them answer.

What the template schedules runs beside it, in the same sandboxes, from when the first request can be answered.
"""

import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from local.api.events import MalformedAnswer, Request, Response, to_event, to_response
from local.api.pool import CallerTimeout, FunctionFailed, Pool
from local.api.routing import Router
from local.api.schedule import Scheduler
from local.errors import LocalError
from local.servers.processes import HOST
from local.template import Template

__all__ = ["Gateway"]

BODY_LIMIT = 10 * 1024 * 1024
INTEGRATION_LIMIT = 30.0  # an HTTP API waits no longer for any function

Tell = Callable[[str], None]


class Gateway:
    """Takes its port when created, so that a taken one is told before anything else starts.

    Requests that come before it is `serving` wait.
    """

    def __init__(self, port: int) -> None:
        """`port` 0 lets the system choose. Raises `LocalError` when the port is taken."""
        try:
            self._server = _Server((HOST, port), _Connection)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "in use" if error.errno == errno.EADDRINUSE else "not allowed for you"
            raise LocalError(f"port {port} is {why}: choose another with PORT=…") from None
        self.port: int = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}"

    def close(self) -> None:
        self._server.server_close()

    @contextmanager
    def serving(
        self,
        template: Template,
        environment: Mapping[str, Mapping[str, str]],
        log: Path,
        *,
        tell: Tell,
        access: bool = False,
    ) -> Iterator[None]:
        """Answer in threads, and keep the schedules, from when every handler is imported to the end of the block.

        `environment` overrides the template's, by function. `tell` hears of failing functions, and with `access` of
        every request.
        """
        names = {route.function for route in template.routes} | {each.function for each in template.schedules}
        pools = {name: Pool(template.functions[name], environment.get(name, {}), log / f"{name}.log") for name in names}
        try:
            imports = [threading.Thread(target=_warm, args=[*item, tell], daemon=True) for item in pools.items()]
            for each in imports:
                each.start()
            for each in imports:
                each.join()
            self._server.answer = _Answer(Router(template.routes), pools, self.port, tell)
            self._server.access = tell if access else None
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
            try:
                with Scheduler(template.schedules, pools, tell):
                    yield
            finally:
                self._server.shutdown()
        finally:
            for pool in pools.values():
                pool.close()


def _warm(name: str, pool: Pool, tell: Tell) -> None:
    try:
        pool.warm()
    except FunctionFailed as failure:
        tell(f"{name}: {failure}")


class _Answer:
    """From request to response, without the socket."""

    def __init__(self, router: Router, pools: Mapping[str, Pool], port: int, tell: Tell) -> None:
        self._router, self._pools, self._port, self._tell = router, pools, port, tell

    def __call__(self, request: Request) -> Response:
        match = self._router.match(request.method, request.path)
        if match is None:
            return Response.message(404, "Not Found")
        function = match.route.function
        event = to_event(request, match, self._port)
        try:
            response = to_response(self._pools[function].invoke(event, INTEGRATION_LIMIT))
        except (FunctionFailed, MalformedAnswer) as failure:
            self._tell(f"{function}: {failure}")
            response = Response.message(500, "Internal Server Error")
        except CallerTimeout as timeout:
            self._tell(f"{function}: {timeout} for {INTEGRATION_LIMIT:.0f} s")
            response = Response.message(503, "Service Unavailable")
        response.headers.append(("apigw-requestid", event["requestContext"]["requestId"]))
        return response


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    answer: Callable[[Request], Response]
    access: Tell | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "cacheaside-local", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    timeout = 60

    def __getattr__(self, name: str) -> Any:
        """`do_GET`, `do_PATCH`, …: whatever the method, the routes decide."""
        if name.startswith("do_"):
            return self._respond
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """A client that asks first is not told to send what would be refused."""
        return self._refusal() is not None or super().handle_expect_100()

    def log_message(self, *args: Any) -> None:
        """`_Server.access` says more."""

    def _respond(self) -> None:
        started = time.perf_counter()
        server = cast("_Server", self.server)
        if (response := self._refusal()) is not None:
            self.close_connection = True
            self._send(response)
            self._drain()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            source = self.client_address[0]
            request = Request(self.command, self.path, self.headers.items(), body, source, self.request_version)
            response = server.answer(request)
            self._send(response)
        if server.access is not None:
            elapsed_ms = (time.perf_counter() - started) * 1000
            cache = "".join(f"  {value}" for name, value in response.headers if name.lower() == "cache-status")
            server.access(f"{response.status} {elapsed_ms:9,.1f} ms  {self.command} {self.path}{cache}")

    def _refusal(self) -> Response | None:
        """What the gateway answers without reading the body."""
        length = self.headers["Content-Length"] or "0"
        if self.headers["Transfer-Encoding"] is not None:
            return Response.message(411, "Length Required")
        if not (length.isascii() and length.isdecimal()):
            return Response.message(400, "Bad Request")
        if int(length) > BODY_LIMIT:
            return Response.message(413, "Request Entity Too Large")
        return None

    def _send(self, response: Response) -> None:
        bodiless = response.status in (204, 304)
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if not bodiless:
            self.send_header("content-length", str(len(response.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(response.body)
        self.wfile.flush()

    def _drain(self) -> None:
        """Let the client finish: a connection closed over unread bytes takes the answer with it."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            for _ in range(16 * BODY_LIMIT // 65536):
                if not self.rfile.read1(65536):
                    break
