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
    from local.serving import serve

    if shutdown.requested:  # a library may have swallowed the exception while it was imported
        raise KeyboardInterrupt
    serve(shutdown)


@click.command()
def demo() -> int:
    """Ask every query twice, and print a table of the times.

    Exit status 1 if a second call was no hit, or a required parameter has no example.
    """
    from local.demo import run_demo

    return 0 if run_demo() else PROBLEMS


@click.command()
def rehearse() -> None:
    """Go through a deployment without AWS: package, create, upgrade, roll back."""
    from local import ROOT
    from local.deployment.rehearse import rehearse_deployment
    from local.terminal import print_line

    rehearse_deployment(ROOT, print_line)
