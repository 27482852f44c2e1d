"""Real servers and the query function, with queries whose answers and loads have the size that a measurement needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from bench.functions_folder import functions_folder
from bench.servers import ROOT, running_servers
from local.event_of_request import event_of_request
from local.template import read_template

__all__ = [
    "ANSWERS",
    "HIT",
    "MISS",
    "ROWS",
    "SLOW",
    "Handler",
    "QueryStack",
    "event",
    "import_handler",
    "query_stack",
    "source",
]

_WORDS: Final = "blue,cotton,cup,desk,green,lamp,large,mug,oak,paper,red,small,wool"
ROWS: Final = f"""select
    number as id,
    initcap(concat_ws(' ', words[1 + mod(number * 7, 13)], words[1 + mod(number * 5, 13)], words[1 + mod(number, 11)]))
        as name,
    round(mod(number * 7919, 99991) / 100.0, 2) as price
from generate_series(1, %(rows)s) as number, string_to_array('{_WORDS}', ',') as words"""
# Two tags, as the product of the tests has. They live longer than a benchmark runs, so that each call is a hit.
_HEAD: Final = """-- summary = "Products"
-- ttl = "2h"
-- timeout = "20s"
-- tags = ["products", "order_items"]
-- params.rows = { type = "integer", default = 30, min = 1, max = 200000, description = "how many" }
"""
_SLOW_HEAD: Final = """-- params.ms = { type = "integer", min = 0, example = 100, description = "how long it takes" }
-- params.number = { type = "integer", default = 0, description = "which answer" }
"""
SLOW: Final = f"{ROWS}, (select pg_sleep(%(ms)s / 1000.0)) as slept where %(number)s is not null"
# It expires while a benchmark watches.
_HOT: Final = """-- summary = "Expires soon"
-- ttl = "{ttl_s}s"
-- stale = "{stale_s}s"
-- timeout = "20s"
-- tags = ["products", "order_items"]
-- params.ms = {{ type = "integer", min = 0, example = 100, description = "how long it takes" }}
select '{text}' as text, pg_sleep(%(ms)s / 1000.0)::text as slept
"""
HOT_TEXT, HOT_TTLS_S = "a hot answer", (3, 15)
_QUERIES: Final = {
    "answer": f"{_HEAD}{ROWS}\n",
    "slow": f"{_HEAD}{_SLOW_HEAD}{SLOW}\n",
    **{f"hot_{ttl_s}s": _HOT.format(ttl_s=ttl_s, stale_s=0, text=HOT_TEXT) for ttl_s in HOT_TTLS_S},
    **{f"hot_{ttl_s}s_stale": _HOT.format(ttl_s=ttl_s, stale_s=600, text=HOT_TEXT) for ttl_s in HOT_TTLS_S},
}
# The rows of an answer, by its size.
ANSWERS: Final = {"0.2 kB": 4, "10 kB": 190}

HIT, MISS = "hit", "fwd=miss"  # in Cache-Status

Handler = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class QueryStack:
    """The servers, the folder with the code of the functions, and the environment of the query function."""

    database_url: str
    cache_url: str
    functions: Path
    environment: Mapping[str, str]
    folder: Path


@contextmanager
def query_stack() -> Iterator[QueryStack]:
    """Run the servers during the block."""
    with running_servers(durable=False) as servers:
        template = read_template(ROOT / "template.yaml").functions["QueryFunction"]
        environment = {**template.environment, **servers.environment["QueryFunction"]}
        functions = functions_folder(servers.folder / "functions", _QUERIES)
        cache_url = environment["CACHE_URL"]
        yield QueryStack(servers.postgres.url, cache_url, functions, environment, servers.folder)


def import_handler(stack: QueryStack, **variables: str) -> Handler:
    """Return the handler of the query function, imported as a new sandbox imports it. Once in a process."""
    os.environ.update({**stack.environment, **variables})
    sys.path.insert(0, str(stack.functions))
    handler = import_module("query.app").handler
    context = SimpleNamespace(
        aws_request_id=str(uuid4()),
        function_name="query",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:query",
        get_remaining_time_in_millis=lambda: 29_000,
    )
    return lambda request: handler(request, context)


def event(query: str, **parameters: int | str) -> dict[str, Any]:
    """Return the event of API Gateway for a GET of `query`."""
    template = read_template(ROOT / "template.yaml")
    return event_of_request(template, "GET", f"/queries/{query}?{urlencode(parameters)}")[1]


def source(response: Mapping[str, Any]) -> str:
    """Return where the answer in a response of the handler came from: HIT, MISS or another word of Cache-Status."""
    return str(response["headers"]["Cache-Status"]).split("; ")[1]
