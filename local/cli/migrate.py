"""The command migrate."""

from __future__ import annotations

import click

__all__ = ["migrate"]


@click.command()
def migrate() -> None:
    """Apply the migrations of functions/catalogue/ to your database.

    Works on the database of DATABASE_URL, or that of `cacheaside init`. Then checks the catalogue and tells the
    database which tables are tagged, as `cacheaside run` does at its start. A file is one transaction. Exit status 3
    if one fails: those before it stay applied.
    """
    from local.adoption.migrate import migrate as apply
    from local.recorded_url import own_database_url
    from local.terminal import print_line

    if report := apply(own_database_url(), print_line):
        print_line(report)
