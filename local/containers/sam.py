"""`python -m local.containers.sam invoke EVENT` or `api`: the real SAM CLI, against servers of this machine.

Uses those of a running `make run`, else starts the same ones for as long as the command takes; what the cache held is
kept on disk in between, so that a second `invoke` finds what the first one stored.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.containers import engine
from local.containers.emulator import ROOT, address, emulator, function_of
from local.errors import LocalError
from local.servers.processes import HOST
from local.signals import Ending
from local.stack import Stack, up


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.containers.sam", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("invoke", help="run one event in a Lambda container").add_argument(
        "event", nargs="?", help="a file of events/"
    )
    commands.add_parser("api", help="serve all routes from Lambda containers")
    arguments = parser.parse_args()
    Ending()
    try:
        return invoke(arguments.event) if arguments.command == "invoke" else api(os.environ.get("PORT") or "3000")
    except KeyboardInterrupt:
        return 130
    except (LocalError, engine.EngineMissing) as error:
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1


def invoke(event: str | None) -> int:
    """Print the answer. The exit status is 1 if the function failed instead of answering."""
    if not event or not (path := Path(event)).is_file():
        raise LocalError(f"{event or 'EVENT'} is no file: EVENT=events/query_version.json names one of events/")
    function_of(path)
    engine.require()
    with _servers() as stack, emulator(stack) as lambdas:
        answer = lambdas.invoke(path)
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 1 if isinstance(answer, dict) and "errorType" in answer else 0


def api(port: str) -> int:
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise LocalError(f"PORT is {port!r}: give a number from 1 to 65535")
    if _listens(HOST, int(port)):
        raise LocalError(f"port {port} is in use: stop what uses it, or choose another with PORT=…")
    engine.require()
    with _servers() as stack, emulator(stack) as lambdas:
        return lambdas.serve(int(port))


@contextmanager
def _servers() -> Iterator[Stack]:
    """The stack that is up, else one that is started meanwhile."""
    folder = ROOT / ".local"
    if running := _running(folder):
        yield running
        return
    with up(folder, lambda text: print(text, file=sys.stderr)) as stack:
        yield stack


def _running(folder: Path) -> Stack | None:
    endpoints = folder / "endpoints.env"
    if not endpoints.exists():
        return None
    urls = dict(line.split("=", 1) for line in shlex.split(endpoints.read_text()))
    if not _listens(*address(urls["DATABASE_URL"])):
        return None  # left behind by one that was killed
    # The embedded server is there exactly if the stack was not given another database.
    embedded = (folder / "postgres" / "data" / "postmaster.pid").exists()
    return Stack(urls["DATABASE_URL"], urls["CACHE_URL"], embedded, folder / "log")


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
