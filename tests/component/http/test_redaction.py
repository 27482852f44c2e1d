"""Nothing that a caller sent, and no password, is in a log, a metric, a key of the cache or a server's problem.

The functions run as real sandboxes, which log everything: each prints its log and its metrics to one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
import redis

from local.api.gateway import Gateway
from local.environment import function_environment
from local.template import read_template
from tests.component.support.checkout import copy_project
from tests.component.support.sql import Sql
from tests.e2e.support.client import Client
from tests.support.answer import Answer
from tests.support.tokens import bearer
from tests.support.wait_until import wait_until

TEXT, SUBJECT, KEY, PASSWORD = "text-of-ada", "subject-of-ada", "key-of-ada", "pass%20word-of-ada"
NUMBER: Final = 7_351_902_846
TOKEN: Final = bearer(sub=SUBJECT, email="mail-of-ada")
SECRETS: Final = (TEXT, SUBJECT, KEY, str(NUMBER), "mail-of-ada", PASSWORD, "pass word-of-ada", TOKEN.split(".")[1])

HEADER: Final = """\
-- summary = "One"
-- params.user = { type = "text", source = "claim:sub" }
-- params.text = { type = "text" }
-- params.number = { type = "integer" }
"""
QUERY: Final = HEADER + '-- ttl = "1m"\n-- tags = []\n-- timeout = "500ms"\n'
VALUES: Final = "%(user)s || %(text)s || %(number)s"
# What each asks PostgreSQL, and the status of the answer.
QUERIES: Final = {
    "fine": (f"select {VALUES} as told", 200),
    "slow": (f"select {VALUES} as told, pg_sleep(30)::text as slept", 504),
    "no_column": (f"select no_column, {VALUES} as told", 500),
    "no_syntax": ("select %(user)s %(text)s %(number)s", 500),
    "no_value": (f"select ({VALUES})::integer as told", 422),
}
COMMANDS: Final = {
    "keep": (f"insert into kept (value) values ({VALUES}) returning value", 200),
    "keep_again": (f"insert into kept (value) values ({VALUES}) returning value", 409),
    "keep_slowly": (f"select kept_slowly({VALUES}) as value", 504),
    "keep_nothing": (f"insert into nowhere (value) values ({VALUES}) returning value", 500),
}
TABLE: Final = """
create table kept (value text primary key);
grant select, insert on kept to cacheaside_command;
create function kept_slowly(value text) returns text language plpgsql as $$
begin execute format('select pg_sleep(30), %%L', value); return value; end $$
"""


@pytest.fixture
def project(new_folder: Callable[[str], Path], sql: Sql) -> Iterator[Path]:
    folder = copy_project(new_folder("redaction")).folder
    catalogue = folder / "functions" / "catalogue"
    for name, (statement, _) in QUERIES.items():
        (catalogue / "queries" / f"{name}.sql").write_text(QUERY + statement)
    for name, (statement, _) in COMMANDS.items():
        (catalogue / "commands" / f"{name}.sql").write_text(HEADER + '-- timeout = "500ms"\n' + statement)
    sql(TABLE)
    yield folder
    sql("drop table kept; drop function kept_slowly")


@contextmanager
def serving(project: Path, log: Path, database_url: str, cache_url: str, *, embedded: bool = True) -> Iterator[Client]:
    """Serve the API within the block, by functions that log all they can, and yield a client with a token."""
    environment = function_environment(database_url, cache_url, embedded)
    for variables in environment.values():
        variables |= {"POWERTOOLS_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}
    with (
        closing(Gateway(0)) as gateway,
        gateway.serving(read_template(project / "template.yaml"), environment, log, print_line=lambda _: None),
    ):
        yield Client(gateway.url, lambda _method, _url, _body: {"authorization": TOKEN})


def ask(api: Client, name: str) -> Answer:
    return api.get(f"/queries/{name}?text={TEXT}&number={NUMBER}", cookie=f"session={KEY}")


def command(api: Client, name: str) -> Answer:
    body = f'{{"text": "{TEXT}", "number": {NUMBER}}}'.encode()
    headers = {"content-type": "application/json", "idempotency-key": f"{KEY}-{name}"}
    return api.call("POST", f"/commands/{name}", body, headers)


def check_logs(log: Path, *expected: str) -> None:
    """Check that the logs have what is `expected`, and no secret."""

    def logged() -> str:
        return "".join(each.read_text(errors="replace") for each in log.glob("*Function.log"))

    wait_until(lambda: all(each in logged() for each in expected))
    assert [secret for secret in SECRETS if secret in logged()] == []


def check_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.body
    if status >= 400:
        assert [secret for secret in SECRETS if secret in answer.body.decode()] == []


def test_nothing_that_a_caller_sent_is_logged_or_named(
    project: Path, new_folder: Callable[[str], Path], postgres: Any, valkey: Any, client: redis.Redis
) -> None:
    log = new_folder("log")
    with serving(project, log, postgres.url, valkey.url) as api:
        for name, (_, status) in QUERIES.items():
            check_problem(ask(api, name), status)
            check_problem(ask(api, f"{name}/direct"), status)
        assert "hit" in ask(api, "fine").cache
        assert api.get(f"/queries/fine?text={TEXT}&number={NUMBER}&user=other").status == 400
        for name, (_, status) in COMMANDS.items():
            check_problem(command(api, name), status)
        check_logs(log, "no_column", "nowhere", "statement timeout", "DatabaseTime")
    keys = [key.decode() for key in client.scan_iter("*")]
    assert any("fine" in key for key in keys)
    assert [(key, secret) for key in keys for secret in SECRETS if secret in key] == []


@pytest.mark.parametrize("fault", ["no server", "no URL"])
def test_the_password_of_the_database_is_not_logged(
    project: Path, new_folder: Callable[[str], Path], valkey: Any, client: redis.Redis, fault: str
) -> None:
    host, password = ("127.0.0.1:1", PASSWORD) if fault == "no server" else ("127.0.0.1", "pass%word-of-ada")
    url = urlunsplit(("postgresql", f"owner:{password}@{host}", "/shop", "", ""))
    assert urlsplit(url).password == password
    log = new_folder("log")
    with serving(project, log, url, valkey.url, embedded=False) as api:
        check_problem(ask(api, "fine"), 503)
        check_problem(command(api, "keep"), 503)
        check_logs(log, "OperationalError" if fault == "no server" else "invalid dsn")
        assert "word-of-ada" not in "".join(each.read_text() for each in log.glob("*Function.log"))


def test_a_password_that_libpq_cannot_read_would_be_in_its_message() -> None:
    """Else the test above would prove nothing."""
    with pytest.raises(psycopg2.ProgrammingError, match="pass%word-of-ada"):
        psycopg2.connect("postgresql://owner:pass%word-of-ada@127.0.0.1/shop")
