"""`python -m bench.outages [PART …]`: what callers feel while something fails. Prints a table for each part.

    holder    the holder of a lease is killed during its load
    cache     the cache is healthy, dead, slow, late, loses connections, or is silent
    restart   PostgreSQL restarts after the crash of one backend
    timeout   50 callers of a query that always runs into its timeout
    lock      50 callers of queries on a table that is locked

The gateway and the sandboxes are those of `make run`. Calls come at fixed times, also while earlier ones wait, and a
latency counts from the time at which the call was due.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Timer
from typing import Final

import psycopg2

from bench.cache_proxy import ProxyFault
from bench.callers import Answer, Call, Callers, failed_share, latency_ms
from bench.dying_holder import DyingHolder
from bench.load_counter import LoadCounter
from bench.outage_stack import SANDBOXES, OutageStack, ServedStack, outage_stack, serving
from local.progress import Progress

__all__ = ["main"]

_PRODUCTS: Final = 20
_READS_A_SECOND: Final = 15
_WRITES_A_SECOND: Final = 2
_HEALTHY_S: Final = 2.0
_FIRST_S: Final = 5.0  # after the fault began: what it costs until breakers have noticed it
_MEASURED_S: Final = 20.0
_SETTLED_S: Final = _HEALTHY_S + _FIRST_S

_BEFORE_CRASH_S: Final = 3.0
_AFTER_CRASH_S: Final = 10.0
_LOADS_A_SECOND: Final = 30
_LOAD_MS: Final = 200  # so that several sandboxes are busy at once

_CALLERS: Final = 50
_LOCKED_S: Final = 14.0
_OTHERS: Final = 20

# query, milliseconds of its load, seconds from the begin of the load until its process is killed
_HOLDERS: Final = (("load", 2, 0.001), ("load", 1_000, 0.5), ("slow_load", 5_000, 2.5))

_FAULTS: Final[Mapping[str, Callable[[OutageStack, ServedStack], None]]] = {
    "healthy": lambda stack, served: None,
    "dead: its port refuses": lambda stack, served: served.proxy.refuse(),
    "50 ms a command": lambda stack, served: _switch(served, ProxyFault(command_s=0.05)),
    "2 % of the commands 300 ms late": lambda stack, served: _switch(served, ProxyFault(late_commands=0.02)),
    "2 % of the replies 300 ms late": lambda stack, served: _switch(served, ProxyFault(late_replies=0.02)),
    "1 % of the replies lost": lambda stack, served: _switch(served, ProxyFault(lost_replies=0.01)),
    "silent: SIGSTOP": lambda stack, served: stack.valkey.freeze(),
}


def main(parts: Sequence[str]) -> None:
    with outage_stack() as stack:
        for part in parts:
            _PARTS[part](stack)


def _kill_holders(stack: OutageStack) -> None:
    rows = []
    with serving(stack) as served:
        for query, ms, after_s in _HOLDERS:
            _show(f"A load of {ms:,} ms, its holder is killed")
            call = Call(f"/queries/{query}?ms={ms}")
            environment, catalogue = served.environment["QueryFunction"], stack.functions / "catalogue"
            holder = DyingHolder(environment, catalogue, query, {"ms": ms, "number": 0}, after_s)
            with ThreadPoolExecutor(SANDBOXES) as threads:
                holder.await_load()
                asked = [threads.submit(_ask_until_answered, served.callers, call) for _ in range(SANDBOXES)]
                holder.await_death()
                killed = time.perf_counter()
            answers = [each.result() for each in asked]
            took = sorted(each[-1].answered - killed for each in answers)
            refused = sum(each[0].status >= 500 for each in answers)
            rows.append((f"{ms:,} ms", f"{took[0]:.1f} s", f"{took[-1]:.1f} s", f"{refused} of {SANDBOXES}"))
    _print_table(("load", "next answer after the kill", "all are answered after", "5xx at first"), rows)


def _ask_until_answered(callers: Callers, call: Call) -> list[Answer]:
    answers = [callers.ask(call)]
    while answers[-1].status >= 500:
        time.sleep(0.2)
        answers.append(callers.ask(call))
    return answers


def _break_cache(stack: OutageStack) -> None:
    rows = []
    for name, begin in _FAULTS.items():
        with serving(stack) as served:
            fault = Timer(_HEALTHY_S, begin, [stack, served])
            fault.start()
            try:
                answers = served.callers.at_times(_traffic(), Progress(f"Cache {name}"))
            finally:
                fault.join()
                stack.valkey.thaw()
        measured = [answer for answer in answers if answer.call.at_s >= _SETTLED_S]
        start = answers[0].due - answers[0].call.at_s
        in_time = sum(a.status < 500 and a.answered < start + _SETTLED_S + _MEASURED_S for a in measured)
        reads, writes = ([a for a in measured if (a.call.body is None) == read] for read in (True, False))
        first = [a for a in answers if _HEALTHY_S <= a.call.at_s < _SETTLED_S]
        hits = sum("; hit" in answer.cache_status for answer in reads) / len(reads)
        figures = (*_figures(reads), f"{hits:.0%}", *_figures(writes), *_figures(first)[1:])
        rows.append((name, f"{in_time / _MEASURED_S:.1f}", *figures))
    header = ("cache", "answers a second", "reads: p50", "p99", "5xx", "hits", "writes: p50", "p99", "5xx")
    _print_table((*header, f"first {_FIRST_S:.0f} s: p99", "5xx"), rows)


def _traffic() -> list[Call]:
    """Return reads and writes of random products, at fixed times."""
    chance, end_s = random.Random(11), _SETTLED_S + _MEASURED_S
    reads = [
        Call(f"/queries/product_page?id={chance.randint(1, _PRODUCTS)}", at_s=number / _READS_A_SECOND)
        for number in range(int(end_s * _READS_A_SECOND))
    ]
    writes = [
        Call(
            "/commands/set_price",
            {"id": chance.randint(1, _PRODUCTS), "price": number},
            at_s=(number + 0.5) / _WRITES_A_SECOND,
        )
        for number in range(int(end_s * _WRITES_A_SECOND))
    ]
    return sorted(reads + writes, key=lambda call: call.at_s)


def _switch(served: ServedStack, fault: ProxyFault) -> None:
    served.proxy.fault = fault


def _restart_postgres(stack: OutageStack) -> None:
    calls = [
        Call(f"/queries/load?ms={_LOAD_MS}&number={number}", at_s=number / _LOADS_A_SECOND)
        for number in range(int((_BEFORE_CRASH_S + _AFTER_CRASH_S) * _LOADS_A_SECOND))
    ]
    back_s = []
    with serving(stack) as served:
        crash = Timer(_BEFORE_CRASH_S, lambda: back_s.append(_crash(stack.postgres.url)))
        crash.start()
        answers = served.callers.at_times(calls, Progress("A backend of PostgreSQL is killed"))
        crash.join()
    after = answers[int(_BEFORE_CRASH_S * _LOADS_A_SECOND) :]
    seconds = [after[first : first + _LOADS_A_SECOND] for first in range(0, len(after), _LOADS_A_SECOND)]
    header = ("PostgreSQL is back after", *(f"second {number + 1}" for number in range(len(seconds))), "all")
    shares = [f"{failed_share(each):.0%}" for each in (*seconds, after)]
    _print_table(header, [(f"{back_s[0]:.1f} s", *shares)])


def _crash(url: str) -> float:
    """Kill one backend, so that PostgreSQL restarts. Returns the seconds until it answers again."""
    with closing(psycopg2.connect(url)) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        began = time.perf_counter()
    while True:
        time.sleep(0.02)
        try:
            psycopg2.connect(url).close()
        except psycopg2.OperationalError:
            continue
        return time.perf_counter() - began


def _time_out(stack: OutageStack) -> None:
    with serving(stack) as served, LoadCounter(stack.postgres.url, "60000") as loads:
        _show(f"{_CALLERS} callers of a query that runs into its timeout")
        answers = served.callers.at_once([Call("/queries/impatient_load?ms=60000")] * _CALLERS)
    _print_load_table([(f"{_CALLERS} of a query with a timeout of 2 s", answers, loads)])


def _lock_table(stack: OutageStack) -> None:
    locked = [Call(f"/queries/product?id={number + 1}") for number in range(_CALLERS)]
    others = [Call(f"/queries/load?ms=2&number={number}", at_s=(number + 1) / 2) for number in range(_OTHERS)]
    with (
        serving(stack) as served,
        closing(psycopg2.connect(stack.postgres.url)) as connection,
        connection.cursor() as cursor,
        LoadCounter(stack.postgres.url, "products.category") as loads,
    ):
        cursor.execute("lock table products in access exclusive mode")
        release = Timer(_LOCKED_S, connection.rollback)
        release.start()
        answers = served.callers.at_times([*locked, *others], Progress("A table is locked"))
        release.join()
    of_locked, of_others = answers[:_CALLERS], answers[_CALLERS:]
    callers = (f"{_CALLERS} at once, of {_CALLERS} rows of the table", f"{_OTHERS} of another query, two a second")
    _print_load_table([(callers[0], of_locked, loads), (callers[1], of_others, None)])  # they are too short to count


def _figures(answers: Sequence[Answer]) -> tuple[str, str, str]:
    """Return p50, p99 and the share of 5xx."""
    return _ms(latency_ms(answers, 0.5)), _ms(latency_ms(answers, 0.99)), f"{failed_share(answers):.1%}"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def _print_load_table(rows: Sequence[tuple[str, Sequence[Answer], LoadCounter | None]]) -> None:
    table = []
    for callers, answers, loads in rows:
        counted = Counter(answer.status for answer in answers).most_common()
        statuses = ", ".join(f"{count} × {status}" for status, count in counted)
        p50, p99, _ = _figures(answers)
        counts = (str(loads.at_once), str(loads.total)) if loads else ("", "")
        table.append((callers, p50, p99, statuses, *counts))
    _print_table(("callers", "p50", "p99", "statuses", "loads at once", "loads in all"), table)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(header)} |\n|---|{'---:|' * (len(header) - 1)}")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), flush=True)


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


_PARTS: Final[Mapping[str, Callable[[OutageStack], None]]] = {
    "holder": _kill_holders,
    "cache": _break_cache,
    "restart": _restart_postgres,
    "timeout": _time_out,
    "lock": _lock_table,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(_PARTS)
    if unknown := [part for part in chosen if part not in _PARTS]:
        sys.exit(f"no such part: {', '.join(unknown)}; choose from {', '.join(_PARTS)}")
    main(chosen)
