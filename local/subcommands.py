"""The commands `run`, `demo`, `check` and `rehearse`, and the text that they print."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from local import ROOT
from local.acting_roles import acting_options
from local.api.gateway import Gateway
from local.catalogue_database import CATALOGUE
from local.check import check_and_declare, check_catalogue
from local.demo import format_table, measure_queries
from local.environment import function_environment
from local.errors import LocalError
from local.examples import listed_queries, requests_to_try
from local.recorded_url import without_credentials
from local.signals import Shutdown
from local.stack import Stack, running_stack
from local.template import Template, read_template
from local.terminal import print_line, short_path

__all__ = ["check", "demo", "rehearse", "run"]

DEFAULT_PORT = 3000


def run(shutdown: Shutdown) -> None:
    """Serve until `shutdown` is requested. Mostly that signal raises KeyboardInterrupt here. Raises `LocalError`."""
    template = read_template(ROOT / "template.yaml")
    with _serving(template, ROOT / ".local", _port(), access=True) as (gateway, stack):
        if report := check_and_declare(stack.database_url):
            print_line(report)
        log, addresses = short_path(stack.log), short_path(stack.log.with_name("endpoints.env"))
        print_line(
            f"""
  {gateway.url}   (Ctrl-C stops)

{requests_to_try(gateway.url, listed_queries(CATALOGUE))}

  Logs of functions and servers: {log}    Addresses: {addresses}
"""
        )
        # No unlimited wait: if another thread receives the signal, nothing wakes this one to run the handler.
        while not shutdown.requested:
            time.sleep(0.5)


def demo() -> bool:
    """Return whether every second call was a hit. Raises `LocalError`.

    Uses a folder, a cache and a port of its own, so that it can run beside `make run`.
    """
    # No schedule: the sweep would invalidate the changes of the sample data between miss and hit.
    template = replace(read_template(ROOT / "template.yaml"), schedules=())
    with _serving(template, ROOT / ".local" / "demo", port=0, access=False) as (gateway, stack):
        rows = []
        for row in measure_queries(gateway.url, stack.cache_url):
            rows.append(row)
            print_line(f"{row.query}: {row.miss_ms:,.0f} ms, then {row.hit_ms:,.1f} ms")
    print_line("\n" + format_table(rows))
    return all(row.is_hit for row in rows)


def check() -> bool:
    """Return whether every statement of the catalogue is right. Raises `LocalError`."""
    right, report = check_catalogue()
    print_line(report)
    return right


def rehearse() -> None:
    """Raise `LocalError` at the first step of a deployment that fails, or that does not fail as it should."""
    # Imported late: SAM's translator and moto take a while, and only this command needs them.
    from local.deployment.rehearse import rehearse_deployment

    rehearse_deployment(ROOT, print_line)


@contextmanager
def _serving(template: Template, folder: Path, port: int, *, access: bool) -> Iterator[tuple[Gateway, Stack]]:
    with closing(Gateway(port)) as gateway, running_stack(folder, print_line, api_url=gateway.url) as stack:
        options: dict[str, str] = {}
        if not stack.embedded:
            print_line(f"Database: {without_credentials(stack.database_url)}")
            options, warning = acting_options(stack.database_url)
            if warning:
                print_line(warning)
        environment = function_environment(stack.database_url, stack.cache_url, stack.embedded, options=options)

        def report_change() -> None:
            report = check_and_declare(stack.database_url) or "no statements are left"
            print_line(f"The catalogue has changed. {report}")

        with gateway.serving(
            template, environment, stack.log, print_line=print_line, access=access, on_change=report_change
        ):
            yield gateway, stack


def _port() -> int:
    given = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise LocalError(f"PORT is {given!r}: give a number from 1 to 65535")
    return int(given)
