"""The command advise."""

from __future__ import annotations

from pathlib import Path

import click

from local.cli.main import PROBLEMS

__all__ = ["advise"]


@click.command()
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read this log of PostgreSQL in place of pg_stat_statements. May be given several times.",
)
@click.option("--write", type=click.IntRange(min=1), metavar="N", help="Write the best N into the catalogue.")
@click.option(
    "--min-calls",
    type=click.IntRange(min=1),
    metavar="N",
    default=2,
    show_default=True,
    help="Ignore statements with fewer calls.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the advice as JSON.")
def advise(logs: tuple[Path, ...], write: int | None, min_calls: int, as_json: bool) -> int:
    """Find the statements with which a cache would save most of the database's time.

    Reads pg_stat_statements, or logs with durations: of log_min_duration_statement or auto_explain, as stderr, csvlog
    or jsonlog. Ranks by calls × mean time × the hit ratio that the rates of calls and of writes allow. Changes nothing
    in the database. With --write it writes queries into the catalogue, and the migration that they need.

    \b
        cacheaside advise
        cacheaside advise --log postgresql.log --write 3

    Exit status 3 if nothing is recorded; the message says how to switch it on.
    """
    from local.advice.command import print_advice, write_advice
    from local.cli.output import print_json
    from local.terminal import print_line

    if write and as_json:
        raise click.UsageError("--json prints the advice, and --write what it writes: give one of them")
    if write:
        return 0 if write_advice(logs, min_calls, write, print_line) else PROBLEMS
    print_advice(logs, min_calls, print_json if as_json else None, print_line)
    return 0
