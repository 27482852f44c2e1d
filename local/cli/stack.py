"""Commands that start a stack: run, demo, rehearse."""

from __future__ import annotations

import click

from local.cli.main import PROBLEMS
from local.signals import Shutdown

__all__ = ["demo", "rehearse", "run"]


@click.command()
@click.pass_obj
def run(shutdown: Shutdown) -> None:
    """Serve the API on this machine, until Ctrl-C.

    Starts PostgreSQL and Valkey. With DATABASE_URL, or after `cacheaside init`, it uses that database. PORT= chooses
    another port than 3000, CACHE_URL= a running cache.
    """
    from local import subcommands  # imported late: a signal during these slow imports must already find its handler

    if shutdown.requested:  # a library may have swallowed the exception
        raise KeyboardInterrupt
    subcommands.run(shutdown)


@click.command()
def demo() -> int:
    """Ask every query twice, and print a table of the times.

    Exit status 1 if a second call was no hit.
    """
    from local import subcommands

    return 0 if subcommands.demo() else PROBLEMS


@click.command()
def rehearse() -> None:
    """Go through a deployment without AWS: package, create, upgrade, roll back."""
    from local import subcommands

    subcommands.rehearse()
