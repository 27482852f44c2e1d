"""A gateway in front of one function, and clients for it."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from local.api.gateway import Gateway
from local.servers.processes import HOST
from local.template import Function, Route, Template

__all__ = ["ROUTES", "ask", "connected", "raw", "serving"]

ROUTES = (
    Route("GET", "/context/{name}", "ToldFunction"),
    Route("POST", "/only/post", "ToldFunction"),
    Route("", "$default", "ToldFunction"),
)


@contextmanager
def serving(function: Function, routes: tuple[Route, ...] = ROUTES, **options: Any) -> Iterator[Gateway]:
    """Serve until the block ends. The logs are in the folder `log` beside the function's code."""
    template = Template({"ToldFunction": function}, routes)
    log = function.paths[0] / "log"
    with closing(Gateway(options.pop("port", 0))) as gateway, gateway.serving(template, {}, log, **options):
        yield gateway


def connected(gateway: Gateway) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection(HOST, gateway.port, timeout=60))


def ask(
    client: http.client.HTTPConnection, path: str, method: str = "GET", **more: Any
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of the answer."""
    client.request(method, path, **more)
    response = client.getresponse()
    return response.status, response.headers, response.read()


def raw(gateway: Gateway, text: bytes, *, cut_off: bool = False) -> bytes:
    """Send `text`, with `cut_off` no more after it, and return the bytes that come until the gateway disconnects."""
    with socket.create_connection((HOST, gateway.port), timeout=60) as connection:
        connection.sendall(text)
        if cut_off:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))
