"""The command remove."""

from __future__ import annotations

import click

from local.cli.consent import require_consent
from local.cli.main import FAILED

__all__ = ["remove"]


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(yes: bool) -> int:
    """Take every trace of cacheaside out of your database.

    Works on the database of DATABASE_URL, or that of `cacheaside init`. Shows the statements, and asks. Your tables
    and their rows stay as they are, and so do the files of functions/catalogue/. Exit status 3 if `cacheaside run`
    serves that database, or an administrator has to run some of the statements; 130 if declined.
    """
    from local.adoption.remove import carry_out, find_traces
    from local.recorded_url import own_database_url
    from local.terminal import print_line

    url = own_database_url()
    print_line(find_traces(url).text())
    if not yes:
        require_consent("\nDo all this?")
    return 0 if carry_out(url, print_line) else FAILED
