"""The design that we replace: Flask under gunicorn, with redis-py in front of psycopg2, for one query.

As there, the cache key is the request, entries end by themselves, and a miss opens a connection to PostgreSQL.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Final

import psycopg2
import redis
from flask import Flask, Response, request

_TTL_S: Final = 7200
_SQL: Final = "select row_to_json(answer)::text from ({sql}) as answer"

app = Flask(__name__)
cache = redis.Redis.from_url(os.environ["CACHE_URL"])


@app.get("/queries/answer")  # type: ignore[untyped-decorator]  # flask is in .venv-bench only
def answer() -> Response:
    key = request.full_path
    body = cache.get(key)
    if body is None:
        body = load(int(request.args["rows"]))
        cache.setex(key, _TTL_S, body)
    return Response(body, mimetype="application/json")


def load(rows: int) -> bytes:
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute(_SQL.format(sql=os.environ["SQL"]), {"rows": rows})
        return f'{{"data":[{",".join(row for (row,) in cursor)}]}}'.encode()
