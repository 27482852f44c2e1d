"""What `run`, `demo`, `check` and `rehearse` do, and what a person is told meanwhile."""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from local import check as tag_check
from local.api.gateway import Gateway
from local.demo import measure, table
from local.environment import function_environment
from local.errors import LocalError
from local.signals import Ending
from local.stack import Stack, up
from local.template import Template, read

__all__ = ["check", "demo", "rehearse", "run"]

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 3000


def run(ending: Ending) -> None:
    """Returns once `ending` is asked for, if the signal has not already raised KeyboardInterrupt."""
    template = read(ROOT / "template.yaml")
    with _serving(template, ROOT / ".local", _port(), access=True) as (gateway, stack):
        if said := tag_check.report(stack.database_url):
            _tell(said)
        _tell(
            f"""
  {gateway.url}   (Ctrl-C stops)

  curl -i '{gateway.url}/queries/version'                 # five seconds, then again: a hit
  curl -i '{gateway.url}/queries/top_products?limit=3'
  curl -s '{gateway.url}/queries'                         # what else there is

  Logs of functions and servers: {_short(stack.log)}    Addresses: {_short(stack.log.with_name("endpoints.env"))}
"""
        )
        # Not one long wait: where another thread takes the signal, nothing would wake this one to handle it.
        while not ending.asked:
            time.sleep(0.5)


def demo() -> bool:
    """Returns whether every second call was a hit.

    In a folder of its own, so that it runs beside `make run`, on a cache that is cold and a port that is free.
    """
    # Nobody writes meanwhile, and taking out what the sample data has changed would come between miss and hit.
    template = replace(read(ROOT / "template.yaml"), schedules=())
    with _serving(template, ROOT / ".local" / "demo", port=0, access=False) as (gateway, stack):
        rows = []
        for row in measure(gateway.url, stack.cache_url):
            rows.append(row)
            _tell(f"{row.query}: {row.miss_ms:,.0f} ms, then {row.hit_ms:,.1f} ms")
    _tell("\n" + table(rows))
    return all(row.is_hit for row in rows)


def check() -> bool:
    """Returns whether the tags of every query are what it reads."""
    right, said = tag_check.check()
    _tell(said)
    return right


def rehearse() -> None:
    """Raises `LocalError` at the first step of a deployment that does not go as it must."""
    from local.deployment import (
        rehearse as rehearsal,  # SAM's translator and moto take a while, and only this needs them
    )

    rehearsal.rehearse(ROOT, _tell)


@contextmanager
def _serving(template: Template, folder: Path, port: int, *, access: bool) -> Iterator[tuple[Gateway, Stack]]:
    with closing(Gateway(port)) as gateway, up(folder, _tell, api_url=gateway.url) as stack:
        environment = function_environment(stack.database_url, stack.cache_url, stack.embedded)
        with gateway.serving(template, environment, stack.log, tell=_tell, access=access):
            yield gateway, stack


def _port() -> int:
    given = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise LocalError(f"PORT is {given!r}: give a number from 1 to 65535")
    return int(given)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # a closed terminal must not keep us from stopping in order
        print(text, flush=True)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
