"""`python -m local run` serves until Ctrl-C; `demo` measures every query once; `check` compares each query's tags with
the tables that it reads; `rehearse` goes through a deployment without AWS.
"""

import argparse
import errno
import sys

from local.errors import LocalError
from local.signals import Shutdown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["run", "demo", "check", "rehearse"])
    command = parser.parse_args().command
    try:
        return _execute(command, Shutdown())
    except KeyboardInterrupt:
        return 0 if command == "run" else 130
    except LocalError as error:
        problem = str(error)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        problem = f"no space left on the disk: free some and start again ({error})"
    print(f"make {command}: {problem}", file=sys.stderr)
    return 1


def _execute(command: str, shutdown: Shutdown) -> int:
    from local import subcommands  # imported late: a signal during these slow imports must already find its handler

    if shutdown.requested:
        raise KeyboardInterrupt
    if command == "run":
        subcommands.run(shutdown)
        return 0
    if command == "rehearse":
        subcommands.rehearse()
        return 0
    return 0 if {"demo": subcommands.demo, "check": subcommands.check}[command]() else 1


if __name__ == "__main__":
    sys.exit(main())
