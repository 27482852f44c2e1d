"""Serves HTTP on 127.0.0.1 as API Gateway does. uvicorn reads and writes HTTP; the functions of the template answer."""

import asyncio
import errno
import logging
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from local.api.causes import Causes
from local.api.events import MalformedAnswer, Request, Response, to_event, to_response
from local.api.pool import CallerTimeout, FunctionFailed, Pool
from local.api.reload import Reload
from local.api.routing import Router
from local.api.schedule import Scheduler
from local.errors import LocalError
from local.servers.processes import HOST
from local.template import Template
from local.terminal import PrintLine, printable

__all__ = ["Gateway"]

BODY_LIMIT = 10 * 1024 * 1024
INTEGRATION_LIMIT = 30.0  # seconds that an HTTP API waits for a function
KEEP_ALIVE = 60  # seconds
STOP_PATIENCE = 1  # seconds that requests in flight have when the gateway stops
AT_ONCE = 1000  # requests in flight. Each holds a thread, also while it waits for a sandbox

Json = dict[str, Any]
Receive = Callable[[], Awaitable[Json]]
Send = Callable[[Json], Awaitable[None]]


class Gateway:
    """Binds its port when created, so that a port in use is reported before anything else starts.

    Requests that arrive before it is `serving` wait.
    """

    def __init__(self, port: int) -> None:
        """Port 0 lets the system choose. Raises `LocalError` when the port cannot be bound."""
        try:
            self._socket = socket.create_server((HOST, port), backlog=AT_ONCE)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "in use" if error.errno == errno.EADDRINUSE else "not allowed for you"
            raise LocalError(f"port {port} is {why}: choose another with PORT=…") from None
        # Connections inherit it. asyncio does not set it on them, and each answer would take 40 ms more.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"

    def close(self) -> None:
        self._socket.close()

    @contextmanager
    def serving(
        self,
        template: Template,
        environment: Mapping[str, Mapping[str, str]],
        log: Path,
        *,
        print_line: PrintLine,
        access: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> Iterator[Mapping[str, Pool]]:
        """Import every handler, then answer requests and run the schedules until the block ends. Yields the pools.

        `environment` overrides the template's, by function. `print_line` is called with a line for each failure of a
        function, and with `access` for each request, from several threads. Control characters in it are escaped, line
        breaks too: a value must not look like a line of ours. After a change of the catalogue, which the next request
        finds, `on_change` is called.
        """
        stopped = threading.Event()

        def print_escaped(line: str) -> None:
            if not stopped.is_set():  # an invocation that we end has not failed
                print_line(printable(line, keep=""))

        names = {route.function for route in template.routes} | {each.function for each in template.schedules}
        with ThreadPoolExecutor(AT_ONCE) as threads, ExitStack() as closing:
            pools = {}
            for name in names:
                pools[name] = Pool(template.functions[name], environment.get(name, {}), log / f"{name}.log")
                closing.callback(pools[name].close)  # ends the invocations that the threads wait for
            closing.callback(stopped.set)
            reload = Reload(_catalogue(template), pools.values(), on_change)  # before any sandbox reads the catalogue
            wait([threads.submit(_warm, name, pool, print_escaped) for name, pool in pools.items()])
            causes = Causes(log, print_escaped)
            api = _Api(Router(template.routes), pools, threads, self.port, reload, print_escaped, causes, access)
            with (
                _logging_to(log / "gateway.log"),
                _running(api, self._socket),
                Scheduler(template.schedules, pools, print_escaped),
            ):
                yield pools


def _catalogue(template: Template) -> Path:
    """The catalogue, which is beside the code of the functions."""
    return next(iter(template.functions.values())).paths[0] / "catalogue"


def _warm(name: str, pool: Pool, print_line: PrintLine) -> None:
    try:
        pool.warm()
    except FunctionFailed as failure:
        print_line(f"{name}: {failure}")


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the server's warnings to `path` and not to the terminal. The first one creates the file."""
    handler = logging.FileHandler(path, delay=True)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()


@contextmanager
def _running(api: "_Api", listener: socket.socket) -> Iterator[None]:
    """Run the server in a thread, where it installs no signal handlers."""
    config = uvicorn.Config(
        api,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        proxy_headers=False,  # else a client could choose its sourceIp
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_PATIENCE,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=[[listener]], daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class _Api:
    """The ASGI application: routes, limits and errors of API Gateway."""

    router: Router
    pools: Mapping[str, Pool]
    threads: ThreadPoolExecutor
    port: int
    reload: Reload
    print_line: PrintLine
    causes: Causes
    access: bool
    first_token: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Json, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self.threads)
        target = b"?".join(filter(None, [scope["raw_path"], scope["query_string"]])).decode()
        request = await _receive(target, scope, receive)
        if request is None:
            return
        response = request if isinstance(request, Response) else await in_thread(self._answer, request)
        await _send(response, send)
        if self.access:
            elapsed_ms = (time.perf_counter() - started) * 1000
            cache = "".join(f"  {value}" for name, value in response.headers if name.lower() == "cache-status")
            line = f"{response.status} {elapsed_ms:9,.1f} ms  {scope['method']} {target}{cache}"
            await in_thread(self.print_line, line)  # a terminal may block

    def _answer(self, request: Request) -> Response:
        match = self.router.match(request.method, request.path)
        if match is None:
            return Response.message(404, "Not Found")
        function = match.route.function
        event = to_event(request, match, self.port)
        if "authorizer" in event["requestContext"] and self.first_token.acquire(blocking=False):
            self.print_line("Bearer tokens are not checked on this machine: each caller is whom its token names")
        self.reload()
        try:
            response = to_response(self.pools[function].invoke(event, INTEGRATION_LIMIT))
            self.causes.tell(function, request.path, response)
        except (FunctionFailed, MalformedAnswer) as failure:
            self.print_line(f"{function}: {failure}")
            response = Response.message(500, "Internal Server Error")
        except CallerTimeout as timeout:
            self.print_line(f"{function}: {timeout} for {INTEGRATION_LIMIT:.0f} s")
            response = Response.message(503, "Service Unavailable")
        response.headers.append(("apigw-requestid", event["requestContext"]["requestId"]))
        return response


async def _receive(target: str, scope: Json, receive: Receive) -> Request | Response | None:
    """The complete request, or the response that refuses it, or None if the client left before it was complete."""
    headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
    target = re.sub(r"^https?://[^/?]*/?", "/", target)  # clients of a proxy send it, and servers must accept it
    if not target.startswith("/") or scope["http_version"] not in ("1.0", "1.1"):
        return Response.message(400, "Bad Request")
    body, more = bytearray(), True
    too_large = int(dict(headers).get("content-length", 0)) > BODY_LIMIT
    while more and not too_large:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        more, too_large = message["more_body"], len(body) > BODY_LIMIT
    if too_large:
        refusal = Response.message(413, "Request Entity Too Large")
        if any(name == "expect" for name, _ in headers):  # such a client has not sent the body yet, and need not
            refusal.headers.append(("connection", "close"))
        return refusal
    return Request(scope["method"], target, headers, bytes(body), scope["client"][0], f"HTTP/{scope['http_version']}")


async def _send(response: Response, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
    body = b"" if (bodiless := response.status in (204, 304)) else response.body
    if not bodiless:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
