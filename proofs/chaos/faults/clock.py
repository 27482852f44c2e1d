"""Wall clocks that jump forward or back: of some sandboxes, so that they differ from the others, and of Valkey.

A sandbox reads its clock through `sandbox_clock`, Valkey through libfaketime, which is a package of Debian.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local.servers.valkey import ValkeyServer
from proofs.chaos.faults.fault import Fault, FaultSteps

if TYPE_CHECKING:
    from proofs.chaos.stack import ChaosStack

__all__ = ["CLOCK_FAULTS", "SANDBOX_CLOCK", "sandbox_clock", "valkey_clock"]

# A sandbox that is to have a clock needs this folder on its PYTHONPATH, and `sandbox_clock` in its environment.
SANDBOX_CLOCK: Final = Path(__file__).parent / "sandbox_clock"

_LIBRARIES: Final = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_SET_S: Final = (2.0, 5.0)
# Seconds, up to days. The library takes clocks to differ by less than a minute.
_JUMPS_S: Final = (5, 50, 70, 600, 3_600, 86_400)
_FUNCTIONS: Final = ("QueryFunction", "CommandFunction", "InvalidateFunction")


def sandbox_clock(clock_file: Path) -> dict[str, str]:
    """Return the variable that tells a sandbox where its clock is."""
    return {"CHAOS_CLOCK": str(clock_file)}


def _library() -> Path | None:
    return next(Path("/").glob(_LIBRARIES.lstrip("/")), None)


@contextmanager
def valkey_clock(clock_file: Path) -> Iterator[None]:
    """Have each Valkey that starts during the block read its clock through `clock_file`, if libfaketime is installed.

    It reads the file once a second. Its monotonic clock, by which its timers go, stays as it is.
    """
    library = _library()
    if library is None:
        yield
        return
    clock_file.write_text("+0\n", encoding="ascii")
    before = ValkeyServer.environment
    ValkeyServer.environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock_file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        yield
    finally:
        ValkeyServer.environment = before


def _needs_libfaketime(stack: ChaosStack) -> str | None:
    return None if _library() else "needs libfaketime (on Debian: apt-get install faketime)"


def _set_sandboxes(sign: int, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    """Set the clocks of about half of the sandboxes, each by another jump."""
    sandboxes = [pid for function in _FUNCTIONS for pid in stack.sandboxes(function)]
    clocks = [Path(f"{stack.clock_file}.{pid}") for pid in rng.sample(sandboxes, (len(sandboxes) + 1) // 2)]
    try:
        for clock in clocks:
            _write(clock, sign * rng.choice(_JUMPS_S))
        yield rng.uniform(*_SET_S)
    finally:
        for clock in clocks:
            clock.unlink(missing_ok=True)


def _set_valkey(sign: int, stack: ChaosStack, rng: random.Random) -> FaultSteps:
    try:
        _write(stack.clock_file, sign * rng.choice(_JUMPS_S))
        yield rng.uniform(*_SET_S)
    finally:
        _write(stack.clock_file, 0)


def _write(clock: Path, seconds: int) -> None:
    """Set the clock in one step: a reader must not meet half of the text."""
    complete = clock.with_name("clock to be set")
    complete.write_text(f"{seconds:+d}\n", encoding="ascii")
    complete.rename(clock)


CLOCK_FAULTS: Final[Sequence[Fault]] = (
    Fault("clocks of sandboxes set forward", "functions", partial(_set_sandboxes, 1)),
    Fault("clocks of sandboxes set back", "functions", partial(_set_sandboxes, -1)),
    Fault("clock of the cache set forward", "cache", partial(_set_valkey, 1), needs=_needs_libfaketime),
    Fault("clock of the cache set back", "cache", partial(_set_valkey, -1), needs=_needs_libfaketime),
)
