"""`python -m bench.served_hits [ROUNDS]`: the CPU of a hit as it is served, beside the design that we replace.

Ours: the process of a sandbox, with AWS's runtime client, which fetches the event over HTTP, parses and renders JSON,
and asks for the next event; and with our extension, which asks for it on a connection of its own. Theirs: the worker
process of gunicorn, which parses an HTTP request and writes the response. Neither has TLS, API Gateway or a load
balancer. A sandbox whose handler does nothing shows how much of ours is the runtime client's. One that has our
extension too shows how much is the extension's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from typing import Any, Final

from bench.figures import Figure, Results, run
from bench.measuring import spread, spread_of_ratios
from bench.query_stack import ANSWERS, HIT, ROWS, QueryStack, event, source
from bench.sandbox import Sandbox, cpu_ns
from bench.servers import ROOT
from local.progress import Progress
from local.servers.processes import HOST, descendants, free_port

__all__ = ["ROUNDS", "measure"]

ROUNDS: Final = 60
_CALLS: Final = 100  # in a block
_ATTEMPTS: Final = 20
_AIM: Final = 0.7


def measure(stack: QueryStack, size: int) -> Results:
    """Run `size` rounds for each answer."""
    figures, rows = [], []
    with (
        Sandbox(stack) as sandbox,
        Sandbox(stack, "bench.empty_function.do_nothing") as empty,
        Sandbox(stack, "bench.extended_function.handler") as extended,
        _gunicorn(stack) as (worker, port),
    ):
        client = HTTPConnection(HOST, port)  # it opens a new connection for each request: the sync worker closes it
        for answer, wanted in ANSWERS.items():
            ours, theirs, floor, with_extension = [], [], [], []
            progress = Progress(f"served hits, {answer}")
            invoke, get = partial(_invoke, sandbox, event("answer", rows=wanted)), partial(_get, client, wanted)
            sandbox.invoke(event("answer", rows=wanted))  # a miss
            _cpu_us(invoke, lambda: sandbox.cpu_ns)  # until it is a hit
            assert invoke() == get(), "both answer the same"
            for number in range(size):
                ours.append(_cpu_us(invoke, lambda: sandbox.cpu_ns))
                theirs.append(_cpu_us(get, lambda: cpu_ns(worker)))
                floor.append(_cpu_us(partial(empty.invoke, event("answer")), lambda: empty.cpu_ns))
                with_extension.append(_cpu_us(partial(extended.invoke, event("answer")), lambda: extended.cpu_ns))
                progress(number + 1, size)
            ratio = spread_of_ratios(ours, theirs)
            figures.append(Figure.of("served hit, CPU ÷ Flask under gunicorn", answer, "×", ratio, _AIM))
            rows.append((answer, *(f"{spread(each).median:,.0f} µs" for each in (ours, floor, with_extension, theirs))))
    return Results(
        figures, ("answer", "CPU, sandbox", "of an empty one", "with our extension", "CPU, gunicorn's worker"), rows
    )


class _NoHit(Exception):
    """On a busy machine a reply of the cache can be late. Then the answer comes from PostgreSQL, for a moment."""


def _cpu_us(call: Callable[[], object], clock: Callable[[], int]) -> float:
    """Return the CPU time of a call, on average of a block. A block in which one was no hit is measured again."""
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * 0.2)  # a breaker's pause is shorter
        began = clock()
        with suppress(_NoHit):
            for _ in range(_CALLS):
                call()
            return (clock() - began) / 1000 / _CALLS
    raise _NoHit(f"{_ATTEMPTS} blocks in a row had an answer that was no hit")


def _invoke(sandbox: Sandbox, request: dict[str, Any]) -> str:
    response = sandbox.invoke(request)
    if source(response) != HIT:
        raise _NoHit(source(response))
    return str(response["body"])


def _get(client: HTTPConnection, rows: int) -> str:
    client.request("GET", f"/queries/answer?rows={rows}")
    with client.getresponse() as response:
        return response.read().decode()


@contextmanager
def _gunicorn(stack: QueryStack) -> Iterator[tuple[int, int]]:
    """Serve `flask_app` during the block. Gives the worker's pid, and the port."""
    port = free_port()
    options = ["--workers", "1", "--bind", f"{HOST}:{port}", "--log-level", "warning", "--no-control-socket"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "bench.flask_app:app"],
        cwd=ROOT,
        env={**os.environ, "CACHE_URL": stack.cache_url, "DATABASE_URL": stack.database_url, "SQL": ROWS},
    )
    try:
        yield _worker(process, port), port
    finally:
        process.terminate()
        process.wait()


def _worker(process: subprocess.Popen[bytes], port: int) -> int:
    """Return the pid of the worker, when it answers."""
    for _ in range(600):
        assert process.poll() is None, "gunicorn has ended"
        try:
            client = HTTPConnection(HOST, port)
            client.request("GET", "/queries/answer?rows=1")
            client.getresponse().read()
            [worker] = descendants(process.pid)
            return worker
        except ConnectionError:
            time.sleep(0.1)
    raise TimeoutError("gunicorn does not answer")


if __name__ == "__main__":
    run(measure, ROUNDS)
