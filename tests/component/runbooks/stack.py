"""The functions with the log that they have in Lambda, on servers in which a test can cause any fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import psycopg2

from bench.functions_folder import functions_folder
from bench.query_stack import QueryStack
from bench.sandbox import Sandbox
from local.environment import function_environment
from local.event_of_request import event_of_request
from local.servers.postgres import PostgresServer
from local.servers.valkey import ValkeyServer
from local.template import read_template
from migrate import sample_data
from migrate.upgrade import upgrade
from tests.component.runbooks.alarms import STACK
from tests.component.support.timeouts import lengthen_timeouts_in
from tests.support.answer import Answer
from tests.support.root import FUNCTIONS, ROOT

__all__ = ["OTHER", "OWNER", "PYTHON", "RunbookStack", "running_stack"]

PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"  # it has the runtime client
HANDLERS: Final = {
    "QueryFunction": "query.app.handler",
    "CommandFunction": "command.app.handler",
    "InvalidateFunction": "invalidate.app.handler",
    "MigrateFunction": "migrate.app.handler",
}
# Who reads the runbook: on RDS the master user is in rds_superuser, which has these rights too.
OWNER: Final = "cacheaside_owner"
# Another application, which uses the same tables.
OTHER: Final = "nightly_job"
_CREATE_OWNER: Final = f"""
create role {OWNER} login createrole createdb in role pg_monitor, pg_signal_backend;
alter database cacheaside owner to {OWNER};
grant usage, create on schema public to {OWNER} with grant option"""
# The variables of the template: each function logs JSON, and counts in the namespace of the stack.
_AS_DEPLOYED: Final = {
    "AWS_LAMBDA_LOG_FORMAT": "JSON",
    "AWS_LAMBDA_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": STACK,
}


@dataclass
class RunbookStack:
    """Servers, and one sandbox of each function, started when it is first invoked."""

    postgres: PostgresServer
    valkey: ValkeyServer
    folder: Path
    functions: Path
    exits: ExitStack

    def __post_init__(self) -> None:
        self._sandboxes: dict[str, Sandbox] = {}
        self._read: dict[str, int] = {}

    def sql(self, statement: str, *values: object, user: str = OWNER) -> list[tuple[Any, ...]]:
        """Run a statement as the reader of the runbook does in psql."""
        with closing(psycopg2.connect(self.postgres.url_for(user))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall()) if cursor.description else []

    def get(self, target: str) -> Answer:
        return self._request("GET", target)

    def post(self, target: str, body: object) -> Answer:
        return self._request("POST", target, body)

    def sweep(self) -> Any:
        """Run one sweep. Returns None, or the error with which the function ended."""
        return self.sandbox("InvalidateFunction").outcome({})

    def sandbox(self, function: str) -> Sandbox:
        if function not in self._sandboxes:
            self._sandboxes[function] = self.exits.enter_context(self.new_sandbox(function))
        return self._sandboxes[function]

    def new_sandbox(self, function: str, **changed: str) -> Sandbox:
        environment = {**self._template.functions[function].environment, **self._environment[function], **changed}
        stack = QueryStack(
            self.postgres.url, self.valkey.url, self.functions, {**environment, **_AS_DEPLOYED}, self.folder
        )
        return Sandbox(stack, HANDLERS[function], PYTHON)

    def log(self, function: str) -> list[str]:
        """Return the lines that the function has logged since the last call."""
        sandbox = self.sandbox(function)
        text = sandbox.log.read_text()
        start, self._read[function] = self._read.get(function, 0), len(text)
        return text[start:].splitlines()

    def forget_logs(self) -> None:
        """Let the next `log` of each function begin here."""
        for function in self._sandboxes:
            self.log(function)

    def get_from(self, sandbox: Sandbox, target: str) -> Answer:
        """Ask another sandbox than the kept one."""
        return self._request("GET", target, sandbox=sandbox)

    def _request(self, method: str, target: str, body: object = None, sandbox: Sandbox | None = None) -> Answer:
        function, event = event_of_request(self._template, method, target, body)
        response = (sandbox or self.sandbox(function)).invoke(event)
        headers = {name.lower(): value for name, value in response["headers"].items()}
        return Answer(response["statusCode"], headers, response["body"].encode())

    @cached_property
    def _template(self) -> Any:
        return read_template(ROOT / "template.yaml")

    @cached_property
    def _environment(self) -> dict[str, dict[str, str]]:
        environment = function_environment(self.postgres.url, self.valkey.url, embedded=True)
        environment["MigrateFunction"]["DATABASE_USER"] = OWNER
        environment["InvalidateFunction"]["INVALIDATION"] = "schedule"
        return environment


@contextmanager
def running_stack(
    folder: Path, queries: Mapping[str, str], commands: Mapping[str, str], schema: str
) -> Iterator[RunbookStack]:
    """Start the servers. The statements are added to the catalogue of the tests, and `schema` to the database."""
    functions = functions_folder(folder / "functions", queries)
    for name, text in commands.items():
        (functions / "catalogue" / "commands" / f"{name}.sql").write_text(text)
    # Before ours on the path: a copy whose timeouts let a slow machine answer.
    shutil.copytree(ROOT / "layers", folder / "layers", ignore=shutil.ignore_patterns("__pycache__", "dependencies"))
    lengthen_timeouts_in(folder)
    (functions / "cacheaside").symlink_to(folder / "layers" / "cacheaside" / "cacheaside")
    settings = {"log_min_duration_statement": "1000", "log_lock_waits": "on", "deadlock_timeout": "100ms"}
    with (
        PostgresServer(folder / "postgres", settings=settings, durable=False) as postgres,
        ValkeyServer(folder / "valkey") as valkey,
        ExitStack() as exits,
    ):
        stack = RunbookStack(postgres, valkey, folder, functions, exits)
        stack.sql(_CREATE_OWNER, user="postgres")
        with closing(psycopg2.connect(postgres.url_for(OWNER))) as connection:
            upgrade(connection, FUNCTIONS)
            sample_data.load(connection, FUNCTIONS / "catalogue", 20, lambda _done, _total: None)
        stack.sql(schema)
        yield stack
