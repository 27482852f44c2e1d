"""The OpenAPI document of a stack: its rows are typed as PostgreSQL describes them, while it can be reached."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest
from jsonschema import Draft202012Validator

from local.servers.postgres import PostgresServer
from migrate.described_rows import describe_rows
from tests.component.support.closed_port import closed_port
from tests.support.openapi_document import check_document
from tests.support.root import FUNCTIONS


def test_rows_are_typed_as_they_are_answered(api: Any, postgres: PostgresServer) -> None:
    with closing(psycopg2.connect(postgres.url)) as connection:
        describe_rows(connection, FUNCTIONS / "catalogue")
    document = api.get("/openapi.json").json
    assert check_document(document) > 50
    row = document["components"]["schemas"]["product_row"]
    assert row["required"] == ["id", "sku", "name", "category", "price", "sold"]
    answer = api.get("/queries/product?id=42").json["data"]
    assert Draft202012Validator(row).is_valid(answer)
    assert not Draft202012Validator(row).is_valid(answer | {"id": "42"})


def test_without_the_database_the_document_has_untyped_rows(
    start_api: Any, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with closed_port() as listener:
        api = start_api(database_url=f"postgresql://cacheaside@127.0.0.1:{listener.getsockname()[1]}/none")
        answer = api.get("/openapi.json")
    assert answer.status == 200
    assert answer.json["components"]["schemas"]["product_row"] == {"type": "object"}
    assert "the document has no types of rows: the database cannot be reached" in caplog.messages
