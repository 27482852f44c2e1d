"""One campaign against one kind of cache: run the stack and its clients, inject faults, let all drain, and judge."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from proofs.chaos.checker import Limits, Violation, check
from proofs.chaos.faults import FAULTS, Fault
from proofs.chaos.history import History
from proofs.chaos.injection import Injector
from proofs.chaos.load import Target, read_everything, run_load
from proofs.chaos.observer import Observer, Prober
from proofs.chaos.plan import schedule
from proofs.chaos.register import LONGEST_S
from proofs.chaos.stack import PORTS, running_stack
from proofs.consistency.register import GENERATION

__all__ = ["KINDS", "LIMITS", "Campaign", "run_campaign"]

KINDS: Final = ("node", "cluster", "pair")
LIMITS: Final = Limits(rows=GENERATION + 1, longest_s=LONGEST_S, recovered_s=15.0)
_COLD: Final = 60  # operations before those that count
_HEALTHY: Final = 120  # operations before the first fault, to know how long answers take
_STARTED_WITHIN_S: Final = 60.0
_DRAINED_WITHIN_S: Final = 60.0  # a killed invalidate function is invoked again within 15 s, and polls
_ANSWERED_WITHIN_S: Final = 45.0

# Called with the seconds that have passed and all seconds.
OnProgress = Callable[[int, int], object]


@dataclass(slots=True)
class Campaign:
    """The result of one run."""

    kind: str
    seconds: float
    history: History = field(default_factory=History)
    untried: dict[str, str] = field(default_factory=dict)  # faults that this machine cannot have, and why
    failed: dict[str, int] = field(default_factory=dict)  # injections that could not be made, and why
    violations: list[Violation] = field(default_factory=list)


def run_campaign(
    kind: str,
    seconds: float,
    seed: int,
    progress: OnProgress = lambda *_: None,
    faults: Sequence[Fault] = FAULTS,
    prepare: Callable[[Path], object] = lambda _: None,
) -> Campaign:
    """Run for about `seconds` and judge. `prepare` may change the functions before, to see that a defect is found."""
    context = multiprocessing.get_context("spawn")  # a fork would have copies of the connections of the proxies
    ports, in_flight = context.Array("i", PORTS), context.Array("i", PORTS)
    campaign = Campaign(kind, seconds)
    with running_stack(kind, ports, in_flight, prepare) as stack:
        possible = [fault for fault in faults if kind in fault.caches]
        campaign.untried = {fault.name: why for fault in possible if (why := fault.needs(stack))}
        possible = [fault for fault in possible if fault.name not in campaign.untried]
        target = Target(ports, in_flight, stack.owner_url)
        with (
            Prober(stack, campaign.history.probes.append),
            Observer(stack, campaign.history) as observer,
            _clients(context, target, campaign.history) as end_writes,
        ):
            _await(campaign.history, _COLD)  # sandboxes start, and the caches fill
            campaign.history.warm_up, campaign.history.operations = campaign.history.operations, []
            _await(campaign.history, _HEALTHY)
            began = time.monotonic()

            def tick() -> None:
                progress(min(int(time.monotonic() - began), int(seconds)), int(seconds))

            injector = Injector(stack, possible, campaign.history, tick)
            injector.run(schedule(seed, kind, {fault.name: fault.group for fault in possible}), began + seconds)
            end_writes()
            observer.finish(_DRAINED_WITHIN_S)
            for _ in range(2):  # the second time from the cache
                campaign.history.operations += read_everything(target)
        campaign.history.failures += stack.failures
    campaign.failed = dict(injector.failed)
    campaign.violations = check(campaign.history, LIMITS)
    progress(int(seconds), int(seconds))
    return campaign


def _await(history: History, operations: int) -> None:
    """Return when so many operations of the clients have succeeded."""
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while sum(each.status == 200 for each in list(history.operations)) < operations:
        if time.monotonic() > deadline:
            raise TimeoutError("the clients do not get answers")
        time.sleep(0.1)


@contextmanager
def _clients(context: Any, target: Target, history: History) -> Iterator[Callable[[], None]]:
    """Run the clients during the block. Yields a function that ends those that write."""
    here, there = context.Pipe(duplex=False)
    reading, writing = context.Event(), context.Event()
    reading.set()
    writing.set()
    process = context.Process(target=run_load, args=(target, there, reading, writing), daemon=True)
    process.start()
    there.close()
    written = threading.Event()
    receiver = threading.Thread(target=_receive, args=[here, history, written], daemon=True)
    receiver.start()

    def end_writes() -> None:
        writing.clear()
        if not written.wait(_ANSWERED_WITHIN_S):
            raise RuntimeError("the clients that write did not end")

    try:
        yield end_writes
    finally:
        writing.clear()
        reading.clear()
        process.join(_ANSWERED_WITHIN_S)
        process.kill()
        receiver.join()
    if process.exitcode != 0:
        raise RuntimeError("a client ended with an error of its own, or did not end")


def _receive(pipe: Connection, history: History, written: threading.Event) -> None:
    """Add the operations that arrive to the history, until the process of the clients ends."""
    with suppress(EOFError):
        while True:
            operation = pipe.recv()
            if operation is None:
                written.set()
            else:
                history.operations.append(operation)
