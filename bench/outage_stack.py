"""The whole stack for `bench.outages`: real servers, the gateway and sandboxes of `make run`, a proxy before the cache.

Its catalogue is that of the tests, and queries that take as long as a measurement needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg2
import redis

from bench.cache_proxy import CacheProxy
from bench.callers import Call, Callers
from bench.functions_folder import FUNCTIONS, functions_folder, with_code
from bench.servers import ROOT, temporary_postgres
from local.api.gateway import Gateway
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.template import read_template
from migrate import sample_data

__all__ = ["SANDBOXES", "OutageStack", "ServedStack", "outage_stack", "serving"]

SANDBOXES: Final = 16  # the limit of local/api/pool.py, of each function
_WRITERS: Final = 4
_PRODUCTS: Final = 200
_WARM_MS: Final = 500  # long enough that the first sandbox is still busy when the last request comes

# A load of so many ms. `number` makes as many different questions as a measurement needs.
_SLEEP: Final = """-- summary = "Sleeps"
-- ttl = "60s"
-- timeout = "{timeout}"
-- returns = "one"
-- tags = ["products"]
-- params.ms = {{ type = "integer", min = 0, example = 1, description = "how long" }}
-- params.number = {{ type = "integer", default = 0, description = "which answer" }}
select %(number)s as number, pg_sleep(%(ms)s / 1000.0)::text as slept
"""
_TIMEOUTS: Final = {"load": "10s", "slow_load": "20s", "impatient_load": "2s"}
# A page that depends on many tables: its answer has eight tags, so an Acquire is a pipeline of nine commands.
_PRODUCT_PAGE: Final = """-- summary = "One product, and who bought it"
-- ttl = "60s"
-- stale = "10m"
-- returns = "one"
-- tags = ["products:{id}", "order_items", "orders", "customers", "categories", "suppliers", "reviews"]
-- verify = false
-- params.id = { type = "integer", min = 1, example = 1, description = "number of the product" }
select products.id, products.name, products.price, count(distinct orders.customer_id) as buyers
from products
left join order_items on order_items.product_id = products.id
left join orders on orders.id = order_items.order_id
where products.id = %(id)s
group by products.id
"""


@dataclass(frozen=True, slots=True)
class OutageStack:
    """The servers, and the folder of the functions with their catalogue."""

    postgres: PostgresServer
    valkey: ValkeyServer
    functions: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class ServedStack:
    """The stack while it answers, and the environment of each function."""

    callers: Callers
    proxy: CacheProxy
    environment: Mapping[str, Mapping[str, str]]


@contextmanager
def outage_stack() -> Iterator[OutageStack]:
    """Run the servers, with the sample of that catalogue, during the block."""
    with temporary_postgres(durable=False) as (postgres, folder), ValkeyServer(folder / "valkey") as valkey:
        with closing(psycopg2.connect(postgres.url)) as connection:
            sample_data.load(connection, FUNCTIONS / "catalogue", _PRODUCTS, lambda _done, _total: None)
        sleeps = {name: _SLEEP.format(timeout=timeout) for name, timeout in _TIMEOUTS.items()}
        functions = functions_folder(folder / "functions", {**sleeps, "product_page": _PRODUCT_PAGE})
        yield OutageStack(postgres, valkey, functions, folder)


@contextmanager
def serving(stack: OutageStack) -> Iterator[ServedStack]:
    """Serve with new sandboxes, all of them started, and an empty cache, so that no outage leaves a trace in the next.

    The invalidate function runs too, as the template's schedule says.
    """
    with redis.Redis.from_url(stack.valkey.url) as client:
        client.flushall()
    template = read_template(ROOT / "template.yaml")
    functions = {name: with_code(function, stack.functions) for name, function in template.functions.items()}
    with ExitStack() as exits:
        proxy = exits.enter_context(CacheProxy(stack.valkey.port))
        environment = function_environment(stack.postgres.url, proxy.url, embedded=True)
        gateway = exits.enter_context(closing(Gateway(0)))
        # What fails is in the tables. A line for each failure would hide the progress.
        served = gateway.serving(
            replace(template, functions=functions), environment, stack.folder / "log", print_line=lambda _line: None
        )
        exits.enter_context(served)
        callers = Callers(gateway.port)
        callers.at_once(Call(f"/queries/load?ms={_WARM_MS}&number={-number - 1}") for number in range(SANDBOXES))
        callers.at_once(Call("/commands/set_price", {"id": number + 1, "price": 1}) for number in range(_WRITERS))
        yield ServedStack(callers, proxy, environment)
