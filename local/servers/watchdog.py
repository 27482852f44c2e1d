"""Ends a server when its owner has ended, even by SIGKILL: `watchdog.py PID GRACE SIGNAL…`, run by `server.py`.

The owner holds the other end of stdin. A byte means that it has stopped the server itself. The end of the stream
means that the owner is dead. PR_SET_PDEATHSIG will not do: a change of user, as by setpriv, clears it, it fires when
the starting *thread* ends, and macOS does not have it. Standard library only, and few modules: each server has one.
"""

import contextlib
import os
import signal
import sys
import time


def end(pid: int, grace: float, signals: tuple[int, ...]) -> None:
    """Send `signals` in turn, `grace` seconds apart, until `pid` is gone. Raises `ProcessLookupError` then."""
    for number in (signal.SIGCONT, *signals, signal.SIGKILL):
        os.kill(pid, number)
        if number == signal.SIGCONT:
            continue
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            time.sleep(0.05)
            os.kill(pid, 0)


if __name__ == "__main__":
    if not os.read(sys.stdin.fileno(), 1):
        with contextlib.suppress(ProcessLookupError):
            end(int(sys.argv[1]), float(sys.argv[2]), tuple(int(number) for number in sys.argv[3:]))
