"""`python -m local` is the command line `cacheaside`."""

import sys

if __name__ == "__main__":
    try:
        # Before the imports that take a while: a signal during them must already find its handler.
        from local.signals import Shutdown

        shutdown = Shutdown()
        from local.cli.main import main

        sys.exit(main(shutdown, sys.argv[1:]))
    except KeyboardInterrupt:  # outside of a command
        sys.exit(130)
