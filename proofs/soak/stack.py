"""The stack of a soak. Its sandboxes are those of `make run`, and each lives as long as the gateway."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psycopg2

from bench.functions_folder import FUNCTIONS, functions_folder, with_code
from bench.servers import ROOT, temporary_postgres
from local.api.gateway import Gateway
from local.environment import function_environment
from local.servers.postgres import PostgresServer
from local.servers.processes import descendants
from local.servers.valkey import ValkeyServer
from local.template import read_template
from migrate import sample_data
from proofs.soak.processes import command_line

__all__ = ["PRODUCTS", "SoakStack", "soak_stack"]

PRODUCTS: Final = 2_000

_HEAD: Final = """-- summary = "{name}"
-- ttl = "{ttl}"
-- stale = "{stale}"
-- timeout = "{timeout}"
-- returns = "one"
-- tags = ["{tag}"]
-- verify = {verify}
-- params.id = {{ type = "integer", default = 1, description = "which answer" }}
{sql}
"""
# Times are short, so that within minutes as many keys end as begin.
_DEFAULTS: Final = {"ttl": "20s", "stale": "20s", "timeout": "5s", "tag": "customers", "verify": "false"}
_QUERIES: Final[Mapping[str, Mapping[str, str]]] = {
    "row": {"tag": "products:{id}", "verify": "true", "sql": "select id, name, price from products where id = %(id)s"},
    "number": {"sql": "select %(id)s as number, md5(%(id)s::text) as digest"},
    "refreshed": {"ttl": "1s", "stale": "60s", "sql": "select %(id)s as number, clock_timestamp()::text as at"},
    "large": {
        "sql": "select array(select md5((each * %(id)s)::text) from generate_series(1, 8000) as each) as digests"
    },
    "too_slow": {"timeout": "300ms", "stale": "0s", "sql": "select pg_sleep(10 + %(id)s)::text as slept"},
    "refused": {"stale": "0s", "sql": "select 1 / (%(id)s - %(id)s) as quotient"},
}


@dataclass(frozen=True, slots=True)
class SoakStack:
    """The servers, and the process of the gateway, whose descendants are the sandboxes."""

    postgres: PostgresServer
    valkey: ValkeyServer
    port: int
    gateway: int

    def processes(self) -> dict[str, list[int]]:
        """Return the processes of each part. Sandboxes are a part for each function."""
        parts: dict[str, list[int]] = {
            "gateway": [self.gateway],
            "Valkey": [self.valkey.pid],
            "PostgreSQL": [self.postgres.pid, *descendants(self.postgres.pid)],
            **{f"{function} sandboxes": [] for function in ("query", "command", "invalidate")},
        }
        for pid in descendants(self.gateway):
            handler = next((each for each in command_line(pid) if each.endswith(".handler")), None)
            if handler is not None:
                parts[f"{handler.partition('.')[0]} sandboxes"].append(pid)
        return parts


@contextmanager
def soak_stack(functions: Path | None = None) -> Iterator[SoakStack]:
    """Serve during the block. `functions` has folders that replace those of this checkout."""
    with temporary_postgres(durable=False) as (postgres, folder), ValkeyServer(folder / "valkey") as valkey:
        with closing(psycopg2.connect(postgres.url)) as connection:
            sample_data.load(connection, FUNCTIONS / "catalogue", PRODUCTS, lambda _done, _total: None)
        queries = {name: _HEAD.format(**{**_DEFAULTS, **settings, "name": name}) for name, settings in _QUERIES.items()}
        code = functions_folder(folder / "functions", queries)
        for changed in functions.iterdir() if functions is not None else ():
            (code / changed.name).unlink()
            (code / changed.name).symlink_to(changed)
        # Spawned: a forked process would share the memory of this one, and its share would change over time.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (postgres.url, valkey.url, code, folder / "log", theirs)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()  # so that its end is seen here, and that of this process there
        try:
            yield SoakStack(postgres, valkey, ours.recv(), process.pid or 0)
        finally:
            ours.close()
            process.join()


def _serve(database_url: str, cache_url: str, code: Path, log: Path, owner: Connection) -> None:
    """Serve until the owner ends."""
    template = read_template(ROOT / "template.yaml")
    functions = {name: with_code(function, code) for name, function in template.functions.items()}
    environment = function_environment(database_url, cache_url, embedded=True)
    with (
        closing(Gateway(0)) as gateway,
        (log.parent / "failures.log").open("a") as failures,
        gateway.serving(
            replace(template, functions=functions),
            environment,
            log,
            print_line=lambda line: print(line, file=failures, flush=True),
        ),
    ):
        owner.send(gateway.port)
        owner.poll(None)
