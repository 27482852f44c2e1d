"""The command migrate."""

from __future__ import annotations

import click

from local.cli.main import PROBLEMS

__all__ = ["migrate"]


@click.command()
def migrate() -> int:
    """Apply the migrations of functions/catalogue/ to your database.

    Works on the database of DATABASE_URL, or that of `cacheaside init`, else that of the stack on this machine. Then
    checks the catalogue and tells the database which tables are tagged, as `cacheaside run` does at its start. A file
    is one transaction. Exit status 1 if the check finds problems, 3 if a file fails: those before it stay applied.
    """
    from local.adoption.migrate import migrate as apply
    from local.live.target import database
    from local.recorded_url import database_url
    from local.terminal import print_line

    declared, report = apply(database(), print_line, may_be_sample=database_url() is None)
    if report:
        print_line(report)
    return 0 if declared else PROBLEMS
