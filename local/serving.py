"""Serves the API on this machine: servers, functions and gateway together."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from local import ROOT
from local.acting_roles import acting_options
from local.adoption.migrate import unapplied
from local.api.gateway import Gateway
from local.catalogue_folder import CATALOGUE
from local.check import check_and_declare
from local.environment import function_environment
from local.errors import LocalError
from local.examples import listed_queries, requests_to_try
from local.postgres_urls import without_credentials
from local.servers.supervisor import Supervisor
from local.signals import Shutdown
from local.stack import Stack, running_stack
from local.template import Template, read_template
from local.terminal import print_line, short_path

__all__ = ["serve", "serving"]

_DEFAULT_PORT: Final = 3000


def serve(shutdown: Shutdown) -> None:
    """Serve until `shutdown` is requested. Mostly that signal raises KeyboardInterrupt here. Raises `LocalError`."""
    template = read_template(ROOT / "template.yaml")
    with serving(template, ROOT / ".local", _port(), access=True) as (gateway, stack):
        _declared, report = check_and_declare(stack.database_url)
        if report:
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
        supervise = Supervisor(stack.servers, print_line)
        while not shutdown.requested:
            supervise()
            time.sleep(0.5)


@contextmanager
def serving(template: Template, folder: Path, port: int, *, access: bool) -> Iterator[tuple[Gateway, Stack]]:
    """Serve for the time of the block, with the data in `folder`. `access` prints a line for each request."""
    with closing(Gateway(port)) as gateway, running_stack(folder, print_line, api_url=gateway.url) as stack:
        options: dict[str, str] = {}
        if not stack.embedded:
            print_line(f"Database: {without_credentials(stack.database_url)}")
            options, warning = acting_options(stack.database_url)
            if warning:
                print_line(warning)
        environment = function_environment(stack.database_url, stack.cache_url, stack.embedded, options=options)

        def report_change() -> None:
            _declared, report = check_and_declare(stack.database_url)
            print_line(f"The catalogue has changed. {report or 'no statements are left'}")
            for line in unapplied(stack.database_url):
                print_line(line)

        with gateway.serving(
            template, environment, stack.log, print_line=print_line, access=access, on_change=report_change
        ):
            yield gateway, stack


def _port() -> int:
    given = os.environ.get("PORT") or str(_DEFAULT_PORT)
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise LocalError(f"PORT is {given!r}: give a number from 1 to 65535")
    return int(given)
