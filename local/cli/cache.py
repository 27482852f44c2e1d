"""Commands about cached answers: ls, inspect, invalidate."""

from __future__ import annotations

import os
import time
from itertools import islice

import click

from local.cli.asked import as_json, complete_query, of_stack, usage_errors
from local.cli.main import PROBLEMS
from local.cli.output import print_json

__all__ = ["inspect", "invalidate", "ls"]


@click.command()
@click.argument("query", required=False, shell_complete=complete_query)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="List at most this many.",
)
@as_json
def ls(query: str | None, limit: int, as_json: bool) -> None:
    """List the cached answers of the stack on this machine, or those of one QUERY.

    \b
    state        what the next request gets:
      fresh        the answer
      stale        the answer, and it is refreshed after the response
      on error     the answer only if the load fails
      invalidated  a load: a table or row that the answer was made from has changed
      expired      a load
      unreadable   a load: the entry is of other code, or of a query that this catalogue does not have
    for          how long that stays so
    stored       bytes in the cache; unpacked: bytes of the answer

    Changes nothing: listed answers do not count as read. There is no column of hits, because the server counts none
    with its eviction policy (volatile-lru, here and on ElastiCache); `cacheaside stats` has those of each query. The
    cache of a deployed stack cannot be reached from outside of it.

    \b
    Example:  cacheaside ls top_products --json
    """
    from local.live.asked import query_of, read_catalogue
    from local.live.cache import open_cache
    from local.live.entries import cached_answers
    from local.live.listing import as_document, as_table
    from local.live.target import running_stack

    catalogue = read_catalogue()
    with open_cache(running_stack().cache) as cache:
        found = cached_answers(cache, catalogue, query, now_ms=time.time_ns() // 1_000_000)
        answers = list(islice(found, limit))
        more = next(found, None) is not None or not cache.complete
    if query and not answers:
        with usage_errors():
            query_of(catalogue, query)
    answers.sort(key=lambda answer: (answer.query, answer.age_ms or 0))
    if as_json:
        print_json({"answers": [as_document(answer) for answer in answers], "complete": not more})
        return
    if answers:
        click.echo(as_table(answers))
    else:
        click.echo(f"the cache has no answer of {query}" if query else "the cache has no answers")
    if more:
        click.echo(f"These {len(answers)} may not be all: raise --limit, or name a query", err=True)


@click.command()
@click.argument("what", metavar="KEY|NAME", shell_complete=complete_query)
@click.argument("parameters", nargs=-1, metavar="[param=value …]")
@click.option("--body", is_flag=True, help="Print only the body, as it is sent.")
@as_json
def inspect(what: str, parameters: tuple[str, ...], body: bool, as_json: bool) -> int:
    """Show one cached answer in full: header, lease, the versions of its tags, and the body.

    Takes a KEY of `cacheaside ls --json`, or the NAME of a query with its parameters. Reads the cache of the stack on
    this machine and changes nothing.

    \b
    Example:  cacheaside inspect product id=42
    Exit status 1 if the cache has no such answer.
    """
    from cacheaside.reading.keys import ENTRY
    from local.live.asked import question_of, read_catalogue
    from local.live.cache import open_cache
    from local.live.entries import cached_answer
    from local.live.listing import in_full, pretty
    from local.live.target import running_stack

    catalogue = read_catalogue()
    if what.startswith(ENTRY):
        if parameters:
            raise click.UsageError("a key has its parameters in it: leave them out")
        key = what
    else:
        with usage_errors():
            key = question_of(catalogue, what, parameters).keys.entry
    with open_cache(running_stack().cache) as cache:
        found = cache.find(key)
        if found is None:
            click.echo(f"the cache has no answer {key}", err=True)
            if as_json:
                print_json(None)
            return PROBLEMS
        answer = cached_answer(cache, catalogue, found, now_ms=time.time_ns() // 1_000_000)
        lease = cache.find(key.replace(":entry:", ":lease:", 1))
    document = in_full(answer, lease.value if lease else None, lease.left_ms if lease else 0)
    if body:
        click.echo(answer.body or b"")
    elif as_json:
        print_json(document)
    else:
        click.echo(pretty(document, answer.body))
    return 0


@click.command()
@click.argument("words", nargs=-1, metavar="TAG… | param=value …")
@click.option("--query", metavar="NAME", help="Delete one answer: that of this query with the parameters.")
@of_stack
def invalidate(words: tuple[str, ...], query: str | None, stack: str | None) -> None:
    """Invalidate all answers that were made from tables or rows, or one answer of a query.

    A TAG is a table, or a row of one. Sends POST /invalidations to the stack on this machine. With --stack, the request
    is signed with the AWS credentials of the environment, or has the bearer token of API_TOKEN. Use it when a change
    was not recorded: changes of watched tables are invalidated by themselves. Parameters are read as the catalogue of
    this checkout declares them.

    \b
    Examples:  cacheaside invalidate orders products:42
               cacheaside invalidate --query product id=42 --stack cacheaside-prod
    """
    from cacheaside.catalogue.tags import spellings
    from local.live import invalidation
    from local.live.asked import question_of, read_catalogue
    from local.live.target import api_of

    if query:
        with usage_errors():
            question = question_of(read_catalogue(), query, words)
        deleted = invalidation.invalidate(api_of(stack, os.environ), invalidation.body_of_question(question))
        asked = f"{query} {question.query_string}".strip()
        click.echo(f"{asked}: {'the answer is deleted' if deleted['answers'] else 'the cache had no answer'}")
        return
    if not words:
        raise click.UsageError("name a table, a row such as products:42, or a query with --query")
    if wrong := [word for word in words if not spellings(word)]:
        raise click.UsageError(
            f"{wrong[0]} is neither a table nor a row of one: write orders, or '\"InvoiceLine\"' in the shell's "
            "quotes, or orders:42"
        )
    counts = invalidation.invalidate(api_of(stack, os.environ), invalidation.body_of_tags(words))
    if counts["tags"]:
        found = "1 tag was" if counts["tags"] == 1 else f"{counts['tags']} tags were"
        click.echo(f"{', '.join(words)}: every answer that was made from them is invalidated ({found} in the cache)")
    else:
        click.echo(f"no cached answer has {'this tag' if len(words) == 1 else 'one of these tags'}: {', '.join(words)}")
