"""`python -m bench.transaction_settings`: a load whose settings a function sets, against one that sends SET LOCAL.

RDS Proxy would pin the connection of the second one (docs/decisions/0041). The query takes next to no time and there is
no network, so a real load has a smaller ratio.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Final

import psycopg2

from bench.measuring import interleaved, spread, spread_of_ratios, timed
from bench.servers import temporary_postgres
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Query
from cacheaside.drivers.postgres.queries import message_parts
from cacheaside.drivers.postgres.rendering import lock_limit_ms
from cacheaside.reading.question import Question
from local.progress import Progress

_TIMEOUT_MS: Final = 10_000
_SET_LOCAL: Final = (
    "set transaction read only; set local statement_timeout = {timeout_ms}; "
    "set local lock_timeout = {lock_ms}; set local timezone = 'UTC'; "
)
_ROUNDS, _CALLS = 300, 20


def main() -> None:
    query = Query(
        name="product",
        summary="",
        sql="select * from products where id = 42",
        returns="one",
        timeout_ms=_TIMEOUT_MS,
        tags=("products:42",),
        parameters={},
        policy=Policy(ttl_ms=60_000),
    )
    settings, sql = message_parts(Question(query, {}), _TIMEOUT_MS)
    set_local = _SET_LOCAL.format(timeout_ms=_TIMEOUT_MS, lock_ms=lock_limit_ms(_TIMEOUT_MS))
    with (
        temporary_postgres(durable=False) as (postgres, _),
        closing(psycopg2.connect(postgres.url_for("cacheaside_query"))) as connection,
    ):
        connection.autocommit = True
        cursor = connection.cursor()
        contenders = {"function": timed(partial(cursor.execute, settings + sql))}
        contenders["SET LOCAL"] = timed(partial(cursor.execute, set_local + sql))
        blocks = interleaved(contenders, _ROUNDS, _CALLS, Progress("measuring"))
    p50_us = {name: [block.p50_us for block in each] for name, each in blocks.items()}
    ratio = spread_of_ratios(p50_us["function"], p50_us["SET LOCAL"])
    for name, each in p50_us.items():
        print(f"{name:9}  p50 {spread(each).median:4.0f} µs")
    print(f"ratio {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")


if __name__ == "__main__":
    main()
