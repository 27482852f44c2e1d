"""The bytes of an answer with each kind of value. If they change, `_RENDERING_VERSION` must be raised with them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import pytest

from cacheaside.catalogue.parameters import Parameter
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.reading.question import _RENDERING_VERSION, Question
from cacheaside.reading.steps import Load
from cacheaside.settings import DatabaseSettings
from tests.component.support.question import question

TYPES: Final = {"t": "text", "i": "integer", "n": "number", "b": "boolean", "d": "date", "ts": "timestamp", "u": "uuid"}
VALUES: Final = {
    "t": 'é "quoted" \\',
    "i": -5,
    "n": Decimal("7.5"),
    "b": True,
    "d": date(2024, 2, 29),
    "ts": datetime(2024, 2, 29, 23, 59, 1, 250, tzinfo=UTC),
    "u": "0e37df36-f698-11e6-8dd4-cb9ced3df976",
}
SQL: Final = """select
    %(t)s::text as text, (%(i)s)::bigint as integer, %(n)s::numeric as number, %(b)s::boolean as boolean,
    %(d)s::date as date, %(ts)s::timestamptz as timestamptz, %(ts)s::timestamptz::timestamp as timestamp,
    %(u)s::uuid as uuid, null as nothing, 0.1::float8 + 0.2::float8 as float, 'NaN'::float8 as nan,
    interval '1 day 2 hours' as interval, '\\x00ff'::bytea as bytes, array[1, null] as list, '{"a": 1.0}'::json as json,
    '{"b": 1, "a": 1.0}'::jsonb as jsonb, row(1, 'x') as row"""

BODIES: Final = {
    1: (
        '{"text":"é \\"quoted\\" \\\\","integer":-5,"number":7.5,"boolean":true,"date":"2024-02-29",'
        '"timestamptz":"2024-02-29T23:59:01.00025+00:00","timestamp":"2024-02-29T23:59:01.00025",'
        '"uuid":"0e37df36-f698-11e6-8dd4-cb9ced3df976","nothing":null,"float":0.30000000000000004,'
        '"nan":"NaN","interval":"1 day 02:00:00","bytes":"\\\\x00ff","list":[1,null],"json":{"a": 1.0},'
        '"jsonb":{"a": 1.0, "b": 1},"row":{"f1":1,"f2":"x"}}'
    ).encode()
}


@pytest.mark.parametrize("returns", ["many", "one"])
def test_bytes_of_an_answer_change_only_with_the_version_in_its_key(
    database_settings: DatabaseSettings, returns: str
) -> None:
    parameters = {name: Parameter(name=name, type=kind) for name, kind in TYPES.items()}
    query = question(SQL, returns=returns, parameters=parameters).query
    row = BODIES[_RENDERING_VERSION]
    expected = b'{"data":[' + row + b"]}" if returns == "many" else b'{"data":' + row + b"}"
    assert Queries(database_settings).load(Load(Question(query, VALUES), 10_000)).body == expected
