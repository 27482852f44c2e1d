"""Subsegments for AWS X-Ray: a call of a driver becomes a part of the trace of its invocation.

    function's segment (Lambda's own)  ├──────────────────────────────────┤
    cache                               ├look┤ ├acquire┤          ├store┤
    database                                           ├── load ──┤

A subsegment is a JSON document in one UDP packet to the daemon that Lambda runs beside each sandbox. Nothing waits for
it, and an error only loses the subsegment. The documents hold names and times: no SQL, no parameter, no host.

With tracing off, this module is not imported, and the functions use their drivers directly.

The documents: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html. The packets:
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache, wraps
from typing import Any, Final, NamedTuple, TypeVar, cast

from cacheaside.http.problems import problem_of

__all__ = ["traced"]

_T = TypeVar("_T")

_HEADER: Final = b'{"format": "json", "version": 1}\n'


def traced(target: _T, name: str, methods: Iterable[str], statement_of: Callable[[Any], str] | None = None) -> _T:
    """Return an object like `target`, whose `methods` send a subsegment each time they are called.

    `name` is that of the server. `statement_of` returns the name of the query or command from the first argument, or
    "". X-Ray can search for both, and for the name of the method.
    """
    return cast("_T", _Traced(target, name, methods, statement_of or (lambda _: "")))


class _Traced:
    def __init__(self, target: object, name: str, methods: Iterable[str], statement_of: Callable[[Any], str]) -> None:
        self._target = target
        for method in methods:
            setattr(self, method, _sending(getattr(target, method), name, statement_of))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class _Trace(NamedTuple):
    """The trace of an invocation, and the segment in it to which subsegments belong."""

    root: str
    parent: str


@lru_cache(maxsize=1)
def _trace(header: str) -> _Trace | None:
    """Return the trace of a header like Root=1-5759e988-bd86…;Parent=53995c3f42cd8ad8;Sampled=1, if it is sampled."""
    fields = dict(part.partition("=")[::2] for part in header.split(";"))
    if fields.get("Sampled") != "1" or not fields.get("Root") or not fields.get("Parent"):
        return None
    return _Trace(fields["Root"], fields["Parent"])


def _sending(call: Callable[..., _T], name: str, statement_of: Callable[[Any], str]) -> Callable[..., _T]:
    @wraps(call)
    def sending(*args: Any, **more: Any) -> _T:
        # Lambda's runtime sets the variable before each invocation. Tasks after the response still belong to it.
        trace = _trace(os.environ.get("_X_AMZN_TRACE_ID", ""))
        if trace is None:
            return call(*args, **more)
        start, began = time.time(), time.perf_counter()
        outcome: dict[str, bool] = {}
        try:
            return call(*args, **more)
        except Exception as error:
            outcome = {"fault" if problem_of(error).status >= 500 else "error": True}
            raise
        finally:
            annotations = {"call": call.__name__, "statement": statement_of(args[0]) if args else ""}
            _send(
                {
                    "type": "subsegment",
                    "id": os.urandom(8).hex(),
                    "trace_id": trace.root,
                    "parent_id": trace.parent,
                    "name": name,
                    "namespace": "remote",
                    "start_time": start,
                    "end_time": start + time.perf_counter() - began,
                    "annotations": {key: value for key, value in annotations.items() if value},
                    **outcome,
                }
            )

    return sending


def _send(document: dict[str, Any]) -> None:
    """Send a packet on a socket of its own: a sandbox may be frozen, or be a copy of a snapshot, between two calls."""
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    with suppress(OSError, ValueError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as udp:
        udp.sendto(_HEADER + json.dumps(document).encode(), (host, int(port)))
