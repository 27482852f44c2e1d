"""The command warm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from local.cli.asked import as_json, complete_query, of_stack, usage_errors
from local.cli.main import PROBLEMS
from local.cli.output import print_json
from local.errors import LocalError
from local.live.target import Target

__all__ = ["warm"]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…", shell_complete=complete_query)
@click.option(
    "--from", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Parameters of one query."
)
@click.option("--last-read", type=click.IntRange(1, 100_000), metavar="N", help="Ask again what was read last.")
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), metavar="N", help="How many at a time."
)
@of_stack
@as_json
def warm(
    names: tuple[str, ...],
    file: Path | None,
    last_read: int | None,
    concurrency: int,
    stack: str | None,
    as_json: bool,
) -> int:
    """Ask the API for answers, so that they are in the cache when a caller wants them.

    By default each query is asked once, with the examples of its parameters. --from has the parameters of one query:
    a .csv file with a head, or JSON lines with an object each; in JSON lines, a list parameter is a JSON list.
    --last-read asks again the N questions of each query that were read last, of those whose answers this machine's
    cache still holds, stale and invalidated ones too. These are not the most asked: the server does not count how
    often an answer is read.

    Asks the stack on this machine, or a deployed one. As its ReadAuthorization says, requests are signed with the AWS
    credentials of the environment, or have the bearer token of API_TOKEN. A 503 is asked again after its Retry-After,
    up to four times.

    \b
    Examples:  cacheaside warm top_products revenue_by_month
               cacheaside warm product --from ids.csv --stack cacheaside-prod
    Exit status 1 if a question failed.
    """
    from local.live import warming
    from local.live.target import api_of
    from local.progress import Progress

    if file and len(names) > 1:
        raise click.UsageError("--from has the parameters of one query: name one")
    if last_read and (file or stack):
        raise click.UsageError("--last-read reads the cache of this machine: leave out --from and --stack")
    api = api_of(stack, os.environ)
    paths = _last_read(names, last_read) if last_read else [*_asked(api, names, file)]
    if not paths:
        click.echo("there is nothing to ask", err=True)
        return 0
    warmed = warming.warm(api, paths, concurrency, Progress("Warming"))
    if as_json:
        print_json({"asked": len(paths), "answers": warmed.answers, "failures": warmed.failures})
    else:
        counts = [f"{number:,} {what}" for what, number in warmed.answers.most_common()]
        click.echo(f"{len(paths):,} asked: {', '.join([*counts, f'{warmed.failures.total():,} failed'])}")
        for failure, number in warmed.failures.most_common():
            click.echo(f"  {number:,} × {failure}, such as {warmed.examples[failure]}")
    return PROBLEMS if warmed.failures else 0


def _asked(api: Target, names: tuple[str, ...], file: Path | None) -> Iterator[str]:
    from local.examples import examples, path_of
    from local.live.listed import queries_of
    from local.live.parameter_files import read_parameters

    queries, errors = queries_of(api)
    for name in names:
        if error := errors.get(f"queries/{name}.sql"):
            raise LocalError(error)
        if name not in queries:
            raise LocalError(f"the API has no query {name}; it has {', '.join(queries) or 'none'}")
        for values in read_parameters(file) if file else [examples(queries[name])]:
            yield path_of(name, values)


def _last_read(names: tuple[str, ...], number: int) -> list[str]:
    from local.live.asked import read_catalogue
    from local.live.entries import last_read
    from local.live.target import running_stack

    with usage_errors():
        paths, complete = last_read(running_stack().cache, read_catalogue(), names, number)
    if not complete:
        click.echo("The cache has too many keys: others may have been read later than these", err=True)
    return paths
