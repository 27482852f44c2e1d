"""`python -m local.containers.sam invoke EVENT|REQUEST` or `api`: the real SAM CLI, on servers of this machine.

Uses the servers of a running `make run`. Without one, it starts them for the time of the command. The cache is saved
to disk in between, so that a second `invoke` finds the entries of the first one.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import ROOT
from local.containers import engine
from local.containers.emulator import function_of, running_emulator, server_address
from local.endpoints import read_endpoints
from local.errors import LocalError
from local.event_of_request import event_of_request, parse_request
from local.servers.processes import HOST
from local.signals import Shutdown
from local.stack import Stack, running_stack
from local.template import read_template


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.containers.sam", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("invoke", help="run one event in a Lambda container").add_argument(
        "event", nargs="?", help="a file of events/, or a request such as /queries/NAME or 'POST /commands/NAME {…}'"
    )
    commands.add_parser("api", help="serve all routes from Lambda containers")
    arguments = parser.parse_args()
    Shutdown()
    try:
        if arguments.command == "invoke":
            return invoke(arguments.event or os.environ.get("REQUEST"))
        return api(os.environ.get("PORT") or "3000")
    except KeyboardInterrupt:
        return 130
    except (LocalError, engine.EngineMissing) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


def invoke(event: str | None) -> int:
    """Print the answer to `event`, a file of events/ or a request. Raises `LocalError`.

    Return the exit status: 1 if the function raised an exception.
    """
    if not event:
        raise LocalError("give EVENT=events/query_health.json, a file of events/, or REQUEST='/queries/NAME'")
    function, content = _event(event)
    engine.require()
    with _servers() as stack, running_emulator(stack) as lambdas:
        answer = lambdas.invoke(function, content)
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 1 if isinstance(answer, dict) and "errorType" in answer else 0


def _event(event: str) -> tuple[str, dict[str, Any]]:
    """Return the function and the event of a file of events/, or of a request."""
    path = Path(event)
    if path.is_file():
        return function_of(path), json.loads(path.read_text(encoding="utf-8"))
    return event_of_request(read_template(ROOT / "template.yaml"), *parse_request(event))


def api(port: str) -> int:
    """Serve all routes until Ctrl-C. Return the exit status. Raises `LocalError`."""
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise LocalError(f"PORT is {port!r}: give a number from 1 to 65535")
    if _listens(HOST, int(port)):
        raise LocalError(f"port {port} is in use: stop what uses it, or choose another with PORT=…")
    engine.require()
    with _servers() as stack, running_emulator(stack) as lambdas:
        return lambdas.serve(int(port))


@contextmanager
def _servers() -> Iterator[Stack]:
    """The stack of `make run`, else a new one for the time of the block."""
    folder = ROOT / ".local"
    if found := _find_stack(folder):
        yield found
        return
    with running_stack(folder, lambda text: print(text, file=sys.stderr)) as stack:
        yield stack


def _find_stack(folder: Path) -> Stack | None:
    found = read_endpoints(folder)
    if found is None or not _listens(*server_address(found.database)):
        return None  # the file may be of a `make run` that was killed
    # The embedded server runs exactly if no URL named another one.
    embedded = (folder / "postgres" / "data" / "postmaster.pid").exists()
    return Stack(found.database, found.cache, embedded, folder / "log")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
