"""`python -m bench.memory [ROUNDS]`: the memory that an answer of 4.6 MB takes at most, above that of small answers.

Each figure is from a process of its own, and a multiple of the answer's size. "Handler alone" is a process that calls
the handler and keeps its response. "Sandbox" is what Lambda limits: there AWS's runtime client renders the response as
JSON and sends it. "Runtime client alone" is a sandbox whose handler only makes a body of that size.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

from bench.figures import Figure, Results, run
from bench.measuring import spread
from bench.query_stack import ANSWERS, HIT, MISS, QueryStack, event, import_handler, source
from bench.sandbox import Sandbox, peak_kib
from bench.unbuffered_log import unbuffered_log
from local.progress import Progress

__all__ = ["ROUNDS", "measure"]

ROUNDS: Final = 5
_SMALL_ANSWERS: Final = 50
_ROWS: Final = 90_000  # 4.6 MB; the largest answer that is possible has 5,000,000 bytes
_CLIENT_ALONE: Final = "runtime client alone"
_AIM: Final = 3


def measure(stack: QueryStack, size: int) -> Results:
    """Measure `size` processes of each kind."""
    multiples: dict[str, list[float]] = {}
    progress = Progress("memory")
    for number in range(size):
        # Each round asks another question, so that its first process misses, and the others hit.
        large = event("answer", rows=_ROWS - number)
        for name, measured in {
            "miss, sandbox": _of_sandbox(stack, large, MISS),
            "hit, sandbox": _of_sandbox(stack, large, HIT),
            "hit, handler alone": _of_handler(stack, large),
            _CLIENT_ALONE: _of_sandbox(stack, large, None, "bench.empty_function.answer_large"),
        }.items():
            multiples.setdefault(name, []).append(measured)
        progress(number + 1, size)
    figures = [
        Figure.of("memory ÷ size of the answer", name, "×", spread(values), _AIM if name != _CLIENT_ALONE else None)
        for name, values in sorted(multiples.items())
    ]
    return Results(figures)


def _of_sandbox(
    stack: QueryStack, large: dict[str, Any], expected: str | None, handler: str = "query.app.handler"
) -> float:
    with Sandbox(stack, handler) as sandbox:
        multiple, response = _multiple(sandbox.invoke, large, lambda: sandbox.peak_kib)
    assert expected is None or source(response) == expected
    return multiple


def _of_handler(stack: QueryStack, large: dict[str, Any]) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_in_this_process, stack, large).result()


def _in_this_process(stack: QueryStack, large: dict[str, Any]) -> float:
    with unbuffered_log():
        multiple, response = _multiple(import_handler(stack), large, lambda: peak_kib("self"))
    assert source(response) == HIT
    return multiple


def _multiple(
    ask: Callable[[dict[str, Any]], dict[str, Any]], large: dict[str, Any], peak: Callable[[], int]
) -> tuple[float, dict[str, Any]]:
    """Return by how much the peak grows, as a multiple of the answer, and the response."""
    for _ in range(_SMALL_ANSWERS):
        ask(event("answer", rows=ANSWERS["0.2 kB"]))
    before = peak()
    response = ask(large)
    return (peak() - before) * 1024 / len(response["body"]), response


if __name__ == "__main__":
    run(measure, ROUNDS)
