"""The command check."""

from __future__ import annotations

import click

from local.cli.main import PROBLEMS

__all__ = ["check"]


@click.command()
def check() -> int:
    """Ask PostgreSQL whether each statement can run, and whether its tags are right.

    Reads the database of DATABASE_URL, or that of `cacheaside init`, and changes nothing in it. Without one, it starts
    an empty database with the migrations of the catalogue. CATALOGUE= names another folder than functions/catalogue.
    Exit status 1 if there are problems.
    """
    from local import subcommands

    return 0 if subcommands.check() else PROBLEMS
