"""`python -m local` is the command line `cacheaside`."""

import sys

from local.signals import Shutdown

# Before the imports that take a while: a signal during them must already find its handler.
_shutdown = Shutdown()

if __name__ == "__main__":
    from local.cli.main import main

    try:
        sys.exit(main(_shutdown, sys.argv[1:]))
    except KeyboardInterrupt:  # outside of a command
        sys.exit(130)
