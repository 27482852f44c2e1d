"""The migrate function as CloudFormation calls it: a real database, and a real server for the response."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.servers.postgres import PostgresServer
from migrate import app
from migrate.upgrade import FUNCTIONS, read_migrations, upgrade

Send = Callable[..., dict[str, Any]]

# A migration that this checkout lacks.
LATER = """
    insert into cacheaside.migrations (series, number, name, checksum) values ('catalogue', 9999, '9999_later', 'x')
"""


class Receiver(HTTPServer):
    """The server behind the presigned URL. It fails `failures` times, and then keeps the response."""

    failures = 0
    answers: list[tuple[str, bytes]]


class _Put(BaseHTTPRequestHandler):
    server: Receiver

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        self.server.answers.append((self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(("127.0.0.1", 0), _Put) as server:
        server.answers = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def send(postgres: PostgresServer, database: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Sends one request to the function and returns the answer that CloudFormation gets."""
    monkeypatch.setenv("AUTHENTICATION", "url")
    monkeypatch.setenv("DATABASE_URL", postgres.url_for("postgres", database))
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "migrate")

    def send(kind: str, seconds: float = 900, old: dict[str, str] | None = None, **properties: str) -> dict[str, Any]:
        event = {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{receiver.server_port}/answer",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Migrations",
            "ResourceProperties": properties,
        }
        if old is not None:
            event["OldResourceProperties"] = old
        context = SimpleNamespace(
            aws_request_id="id",
            function_name="migrate",
            memory_limit_in_mb=128,
            invoked_function_arn="arn",
            get_remaining_time_in_millis=lambda: seconds * 1000,
        )
        app.handler(event, context)
        content_type, body = receiver.answers.pop()
        assert content_type == ""
        assert len(body) <= 4096
        answer: dict[str, Any] = json.loads(body)
        assert [answer[key] for key in ("StackId", "RequestId", "LogicalResourceId")] == [
            "stack",
            "request",
            "Migrations",
        ]
        return answer

    return send


def test_create_update_and_delete_succeed_under_one_id(send: Send) -> None:
    create, update, delete = send("Create", SampleSize="10"), send("Update", SampleSize="10"), send("Delete")
    assert {answer["Status"] for answer in (create, update, delete)} == {"SUCCESS"}
    assert len({answer["PhysicalResourceId"] for answer in (create, update, delete)}) == 1
    assert create["Data"]["Applied"].split(",") == [migration.file for migration in read_migrations(FUNCTIONS)]
    assert update["Data"]["Applied"] == ""


def test_digest_follows_the_settings_and_nothing_else(send: Send) -> None:
    def digest(settings: str, size: str = "10") -> str:
        text: str = send("Update", SampleSize=size, Settings=settings)["Data"]["SettingsDigest"]
        return text

    send("Create", SampleSize="10")
    assert digest("a cache") == digest("a cache", size="0") != digest("another cache")
    assert 0 < len(digest("a cache")) <= 256  # Lambda allows no longer description of a version


def test_delete_drops_nothing(send: Send, connect: Any) -> None:
    send("Create", SampleSize="10")
    send("Delete")
    with connect().cursor() as cursor:
        cursor.execute("select count(*) from products")
        assert cursor.fetchone() == (10,)


@pytest.fixture
def migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replaces all migrations by one file with this text."""
    folder = tmp_path / "catalogue" / "migrations"
    folder.mkdir(parents=True)

    def migration(sql: str) -> None:
        (folder / "0001_bad.sql").write_text(sql)
        monkeypatch.setattr(app, "upgrade", lambda connection: upgrade(connection, tmp_path))

    return migration


def test_failing_migration_fails_the_deployment_with_the_sql_error(
    send: Send, migration: Callable[[str], None]
) -> None:
    migration("select 1;\nalter table nothing add column x int;\n")
    answer = send("Update")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(
        'catalogue/migrations/0001_bad.sql: relation "nothing" does not exist (SQLSTATE 42P01)'
    )


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the catalogue, which is deployed in its place."""
    copied = Path(shutil.copytree(app.CATALOGUE, tmp_path / "catalogue"))
    monkeypatch.setattr(app, "CATALOGUE", copied)
    return copied


@pytest.fixture
def forgotten_tag(catalogue: Path) -> None:
    """A deployment with one tag less than its query needs."""
    query = catalogue / "queries" / "customer_orders.sql"
    query.write_text(query.read_text().replace('["orders", "order_items"]', '["orders"]'))


@pytest.mark.usefixtures("forgotten_tag")
def test_forgotten_tag_fails_the_deployment_with_the_line_to_write(send: Send) -> None:
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert "customer_orders.sql:4: the query reads order_items, which is not among its tags" in answer["Reason"]
    assert 'write -- tags = ["orders", "order_items"]' in answer["Reason"]


@pytest.mark.usefixtures("forgotten_tag")
def test_rollback_to_queries_of_an_older_schema_is_not_failed_by_their_tags(send: Send, connect: Any) -> None:
    send("Create")
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(LATER)
    assert send("Update")["Status"] == "SUCCESS"


def test_command_without_its_rights_fails_the_deployment_with_the_grant(send: Send, catalogue: Path) -> None:
    command = catalogue / "commands" / "set_price.sql"
    command.write_text(command.read_text().replace("set price =", "set name = 'x', price ="))
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert "grant update (name) on products to cacheaside_command;" in answer["Reason"]


@pytest.mark.parametrize(
    ("reads", "status"), [("open", "FAILED"), ("iam", "FAILED"), ("jwt", "SUCCESS"), ("", "SUCCESS")]
)
def test_query_of_a_claim_fails_the_deployment_if_callers_send_no_tokens(
    send: Send, catalogue: Path, monkeypatch: pytest.MonkeyPatch, reads: str, status: str
) -> None:
    query = catalogue / "queries" / "mine.sql"
    query.write_text(
        '-- summary = "x"\n-- ttl = "1m"\n-- tags = []\n-- params.user = { type = "text", source = "claim:sub" }\n'
        "select %(user)s as told"
    )
    monkeypatch.setenv("READ_AUTHORIZATION", reads)
    answer = send("Create")
    assert answer["Status"] == status
    if status == "FAILED":
        assert "mine.sql:4: user is a claim of the caller's token" in answer["Reason"]
        assert f"ReadAuthorization={reads}" in answer["Reason"]


def test_warning_is_logged_and_does_not_fail_the_deployment(
    send: Send, catalogue: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query = catalogue / "queries" / "product.sql"
    query.write_text(query.read_text().replace("category, price,", "category, price, now() as read_at,"))
    assert send("Create")["Status"] == "SUCCESS"
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    [warning] = vars(record)["warnings"]
    assert "product.sql:1: the answer may change without a write: it depends on now()" in warning


def test_long_reason_is_cut_to_what_cloudformation_takes(send: Send, migration: Callable[[str], None]) -> None:
    migration(f"do $$ begin raise exception '{'ä' * 9000}'; end $$")
    assert send("Update")["Reason"].endswith("…")


def test_hundreds_of_migrations_are_cut_to_what_cloudformation_takes(send: Send, monkeypatch: Any) -> None:
    files = [f"catalogue/migrations/{number:04}_add_something.sql" for number in range(1, 400)]
    monkeypatch.setattr(app, "upgrade", lambda connection: upgrade(connection) and files)
    assert send("Create")["Data"]["Applied"].startswith(",".join(files[:2]))


def test_query_of_a_table_that_is_not_watched_fails_the_deployment(send: Send, connect: Any) -> None:
    send("Create")
    owner = connect()
    with owner, owner.cursor() as cursor:
        cursor.execute("select cacheaside.unwatch('products')")
    answer = send("Update")
    assert answer["Status"] == "FAILED"
    assert "cacheaside.watch('products')" in answer["Reason"]


def test_deployment_declares_the_tags_of_its_queries(send: Send, connect: Any) -> None:
    send("Create")
    owner = connect()
    with owner, owner.cursor() as cursor:
        cursor.execute("create view best as table products; create or replace view best as table products")
        cursor.execute("create table others (like products); create or replace view best as table others")
    send("Update")
    with owner, owner.cursor() as cursor:
        cursor.execute("select tag from cacheaside.sources where identity = 'public.best' and valid_from > now()")
        assert cursor.fetchall() == [("others",)]


def test_deployment_describes_its_statements_and_a_rollback_leaves_the_descriptions(
    send: Send, catalogue: Path, connect: Any
) -> None:
    send("Create")
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("select place, fingerprint, columns::text from cacheaside.described order by 1, 2")
        described = cursor.fetchall()
        cursor.execute(LATER)
    assert len(described) == len([*catalogue.glob("queries/*.sql"), *catalogue.glob("commands/*.sql")])
    query = catalogue / "queries" / "version.sql"
    query.write_text(query.read_text().replace("select", "select 1 as one,", 1))
    assert send("Update")["Status"] == "SUCCESS"
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("select place, fingerprint, columns::text from cacheaside.described order by 1, 2")
        assert cursor.fetchall() == described


def test_rollback_to_a_deployment_of_an_older_schema_is_not_checked(send: Send, connect: Any) -> None:
    send("Create")
    owner = connect()
    with owner, owner.cursor() as cursor:
        cursor.execute("select cacheaside.unwatch('products')")
        cursor.execute(LATER)
    assert send("Update")["Status"] == "SUCCESS"


def test_unreachable_database_is_told_without_its_address(send: Send, monkeypatch: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner:hunter2@127.0.0.1:1/x")
    monkeypatch.setattr("migrate.first_connection._RETRY_FOR_S", 4.0)
    answer = send("Create")
    assert answer["Status"] == "FAILED"
    assert not [leak for leak in ("127.0.0.1", "hunter2", "owner") if leak in answer["Reason"]]


def test_sample_is_not_deployed_to_a_database_of_somebody_else(send: Send, catalogue: Path, connect: Any) -> None:
    answer = send("Create", DatabaseSource="existing", SampleSize="0")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "functions/catalogue holds the sample, which is only for a database that cacheaside itself created; "
        "nothing was changed. Take the sample out: .venv/bin/cacheaside init --database-url …"
    )
    with connect().cursor() as cursor:
        cursor.execute("select to_regnamespace('cacheaside') is null and to_regclass('products') is null")
        assert cursor.fetchone() == (True,)
    shutil.rmtree(catalogue / "sample")
    assert send("Create", DatabaseSource="existing", SampleSize="0")["Status"] == "SUCCESS"


def test_bad_property_is_told(send: Send) -> None:
    answer = send("Create", SampleSize="many")
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "SampleSize must be a whole number, not 'many'")


def test_bad_environment_is_told_and_does_not_keep_a_stack_from_being_deleted(send: Send, monkeypatch: Any) -> None:
    monkeypatch.setenv("DATABASE_URL", "hunter2")
    answer = send("Create")
    assert (answer["Status"], "DATABASE_URL" in answer["Reason"]) == ("FAILED", True)
    assert "hunter2" not in answer["Reason"]
    assert send("Delete")["Status"] == "SUCCESS"


def test_migration_that_takes_too_long_is_told_before_time_is_over(
    send: Send, migration: Callable[[str], None], connect: Any
) -> None:
    # Each statement is short, and only all together take too long. So statement_timeout would not end them.
    migration("create table mine (); " + "select pg_sleep(0.3); " * 300)
    began = time.monotonic()
    answer = send("Update", seconds=65)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("catalogue/migrations/0001_bad.sql: time was over; finished work is kept")
    assert time.monotonic() - began < 30
    with connect().cursor() as cursor:
        cursor.execute("select to_regclass('mine') is null")
        assert cursor.fetchone() == (True,)


def test_sample_data_goes_on_where_time_was_over(send: Send) -> None:
    answer = send("Create", seconds=60.4, SampleSize="5000")
    assert answer["Status"] == "FAILED"
    assert "deploy again to go on" in answer["Reason"]
    assert send("Update", SampleSize="5000")["Status"] == "SUCCESS"


def test_answer_is_sent_again_when_the_url_fails(send: Send, receiver: Receiver) -> None:
    receiver.failures = 1
    assert send("Delete")["Status"] == "SUCCESS"


def function(number: int, name: str = "migrate") -> dict[str, str]:
    return {"CodeVersion": f"arn:aws:lambda:us-east-1:123456789012:function:{name}:{number}"}


@pytest.fixture
def ahead(send: Send, connect: Any) -> None:
    """The database has a migration that this code lacks."""
    send("Create", SampleSize="0")
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute(LATER)


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize(
    ("kind", "old"), [("Update", function(7)), ("Create", None)], ids=["old checkout", "new stack on a newer database"]
)
def test_downgrade_is_refused_and_named(send: Send, kind: str, old: dict[str, str] | None) -> None:
    answer = send(kind, old=old, **function(8))
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        "the database is ahead of this deployment: it has catalogue/migrations/9999_later.sql, which this code lacks; "
        "deploy a checkout that has it too"
    )


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (function(8), function(7)),  # a rollback
        (function(10), function(9)),  # numbers, not text
        (function(7), function(7)),  # another property was changed: the code stays what it was
        (function(1, "renamed"), function(7)),  # a rollback of a function that was replaced
        ({}, function(7)),
        (function(7), {}),
        (None, function(7)),
    ],
)
def test_rollback_passes_and_so_does_what_may_be_one(
    send: Send, old: dict[str, str] | None, new: dict[str, str]
) -> None:
    assert send("Update", old=old, **new)["Status"] == "SUCCESS"


def test_new_code_that_has_all_migrations_is_no_downgrade(send: Send) -> None:
    send("Create", **function(1))
    assert send("Update", old=function(1), **function(2))["Status"] == "SUCCESS"
