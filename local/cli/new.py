"""The command new."""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from local.cli.main import PROBLEMS

__all__ = ["new"]


@click.command()
@click.argument("name")
@click.option("--sql", type=click.File("rb"), help="The file with the SQL, or - for the standard input.")
@click.option("--command", "is_command", is_flag=True, help="Write a command, which changes data, and no query.")
@click.option("--ttl", default="60s", show_default=True, help="How long an answer stays fresh.")
@click.option("--returns", type=click.Choice(["one", "many"]), help="One row or a list. Decided by the primary key.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def new(name: str, sql: BinaryIO | None, is_command: bool, ttl: str, returns: str | None, force: bool) -> int:
    """Write a query of the catalogue from SQL with $1 or %(name)s.

    Asks PostgreSQL for the types of parameters, their names and examples, and for the tags. Runs no command, and
    changes nothing in the database.

    \b
        cacheaside new invoice_lines --sql lines.sql
        echo 'select * from customers where id = $1' | cacheaside new customer

    Exit status 1 if the check finds a problem in the file that was written.
    """
    from local.drafting.writing import NewFile, write_new
    from local.errors import LocalError

    if sql is None and sys.stdin.isatty():
        raise click.UsageError("give the SQL: --sql FILE, or on the standard input")
    try:
        text = (sql or sys.stdin.buffer).read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise LocalError(f"the SQL is not UTF-8: {error.reason} at byte {error.start + 1}") from None
    wanted = NewFile(name, text, is_command=is_command, ttl=ttl, returns=returns or "", force=force)
    return 0 if write_new(wanted) else PROBLEMS
