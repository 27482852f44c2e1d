"""The command explain."""

from __future__ import annotations

import click

from local.cli.asked import as_json, complete_query, usage_errors
from local.cli.main import PROBLEMS
from local.cli.output import print_json

__all__ = ["explain"]


@click.command()
@click.argument("name", shell_complete=complete_query)
@click.argument("parameters", nargs=-1, metavar="[param=value …]")
@click.option("--analyze", is_flag=True, help="Run the query once: read-only, with its timeout.")
@as_json
def explain(name: str, parameters: tuple[str, ...], analyze: bool, as_json: bool) -> int:
    """Explain one question: SQL, plan, tables, keys, tags, policy, and what invalidates its answer.

    Asks the database of DATABASE_URL or of `cacheaside init`, else that of the stack on this machine, as the role of
    the query function. Changes nothing. Without --analyze the query is planned and not run. A list repeats its
    parameter: status=paid status=shipped.

    \b
    Example:  cacheaside explain product id=42 --analyze
    Exit status 1 if PostgreSQL refuses the query, or changes of a table would not be recorded.
    """
    from local.explain import report
    from local.explain.explanation import explain as explained_by
    from local.live.asked import question_of, read_catalogue
    from local.live.target import database

    with usage_errors():
        question = question_of(read_catalogue(), name, parameters)
    explained = explained_by(database(), question, analyze=analyze)
    if as_json:
        print_json(report.as_document(explained))
    else:
        click.echo(report.as_text(explained))
    return PROBLEMS if explained.problems else 0
