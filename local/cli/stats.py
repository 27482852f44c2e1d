"""The command stats."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from local.cli.asked import as_json, of_stack
from local.cli.output import print_json

__all__ = ["stats"]


@click.command()
@click.option("--since", default="1h", show_default=True, metavar="DURATION", help="How far back, such as 10m or 2d.")
@of_stack
@as_json
def stats(since: str, stack: str | None, as_json: bool) -> None:
    """Tell for each query how its answers were made, how fast, and how much time that saved.

    \b
    answers    hits + misses + stale + collapsed + other
    hits       fresh in the cache
    misses     waited for a load of their own
    stale      past their ttl, served at once, refreshed after the response
    collapsed  waited for the load of another request
    other      made while the cache was unavailable, or past their time because the load failed
    hit ratio  the share that waited for no load of its own, as the stack's alarm has it
    saved      (hits + stale) x (mean time of a load - mean time of the cache)

    p50 and p99 are in milliseconds. Times in the cache are those of all answers.

    Reads the log of the query function on this machine: it begins with `cacheaside run`, and a function writes its
    values with its next answer, a second or more after the last ones. With --stack it reads CloudWatch, with the
    credentials of the environment (cloudwatch:ListMetrics and GetMetricData); values are there after some minutes.

    \b
    Example:  cacheaside stats --stack cacheaside-prod --since 1d
    """
    from cacheaside.catalogue.durations import parse_duration_ms
    from local import ROOT
    from local.live.query_stats import as_documents, as_table
    from local.live.target import client, running_stack

    try:
        since_ms = parse_duration_ms(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    if stack:
        from local.live.cloudwatch_stats import cloudwatch_stats

        found = cloudwatch_stats(client("cloudwatch"), stack, max(since_ms // 1000, 1), datetime.now(UTC))
    else:
        from local.live.logged_stats import logged_stats

        running_stack()
        now_ms = time.time_ns() // 1_000_000
        found = logged_stats(ROOT / ".local" / "log" / "QueryFunction.log", now_ms - since_ms)
    if as_json:
        print_json(as_documents(found))
    elif found:
        click.echo(as_table(found))
    else:
        click.echo(f"no query was asked in the last {since}")
