"""A deployment without AWS: the uploads of `sam deploy`, and then the requests of CloudFormation about the schema.

package    built and packaged as by `sam deploy`, for a stand-in S3; the template is translated, the artifacts checked
schema     the packaged migrate function, in a process of its own, with the variables that the template gives it:
           create, update, failed update, rollback, delete; each response arrives at a stand-in response URL
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2

from local.api.pool import FunctionFailed, Pool
from local.deployment.artifacts import check_artifacts, check_template
from local.deployment.cloudformation import CustomResource, ResourceResponse
from local.deployment.package import REGION, Package, build_package
from local.environment import function_environment
from local.errors import LocalError
from local.sam_cli import host_architecture
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST
from local.template import Function, read_template
from local.terminal import PrintLine
from migrate.sample_data import Sample
from migrate.upgrade import read_migrations

__all__ = ["rehearse_deployment"]

FUNCTION = "MigrateFunction"
RESOURCE = "Migrations"
MIGRATIONS = "catalogue/migrations"
SAMPLE_SIZE = 20

TABLE = "create table rehearsal (id bigint primary key);\nselect cacheaside.watch('rehearsal');\n"
FAILS = "select 1;\nalter table rehearsed_by_nobody add column x integer;\n"
UNREACHABLE = f"postgresql://owner@{HOST}:1/none"  # no server listens on this port
# The migrate function keeps 60 s of its time for its response. So it tries this database for 10 s, and not for 150.
UNREACHABLE_TIMEOUT = 70
UNTAGGED = '-- summary = "Rehearsed"\n-- ttl     = "60s"\n-- tags    = []\nselect id from rehearsal\n'


def rehearse_deployment(root: Path, print_line: PrintLine) -> None:
    """Go through all steps, and print each that went as it must. Raises `LocalError` at the first that did not."""
    _ignore_aws_settings()
    with tempfile.TemporaryDirectory(prefix="cacheaside-rehearsal-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL, started by root, runs as another user
        packaged = build_package(root, folder, print_line)
        print_line(f"✓ packaged for {host_architecture()}: {len(packaged.artifacts)} artifacts in a stand-in S3")
        print_line(f"✓ {check_template(packaged)}")
        for line in check_artifacts(root, packaged):
            print_line(f"✓ {line}")
        function, line = _unpacked(packaged, folder)
        print_line(f"  {line}")
        with PostgresServer(folder / "postgres", durable=False) as database:
            _SchemaRehearsal(packaged, function, folder, database.url, print_line).run()
        print_line("  passwords are IAM tokens: tests/unit/drivers/test_iam.py compares their bytes with botocore's")


def _ignore_aws_settings() -> None:
    """Remove every AWS setting of this machine from the environment: profile, keys, endpoint."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(nowhere, AWS_DEFAULT_REGION=REGION)  # SAM's translator needs a region, and calls no service


def _unpacked(packaged: Package, folder: Path) -> tuple[Function, str]:
    """Return the function, unpacked as on Lambda, and a line about its layers."""
    function = read_template(packaged.template).functions[FUNCTION]
    code = packaged.artifact(FUNCTION).unpack(folder / "code")
    library = packaged.artifact("CacheasideLayer").unpack(folder / "library") / "python"
    dependencies = packaged.artifact("DependenciesLayer").unpack(folder / "dependencies") / "python"
    if _importable(dependencies):
        return replace(function, paths=(code, dependencies, library)), "code and both layers come from the package"
    version = ".".join(map(str, sys.version_info[:2]))
    line = f"code and library come from the package; its dependencies are not for Python {version}: .venv's are used"
    return replace(function, paths=(code, library)), line


def _importable(layer: Path) -> bool:
    names = "import sys; sys.path.insert(0, sys.argv[1]); import aws_lambda_powertools, psycopg2, redis"
    probe = [sys.executable, "-I", "-S", "-B", "-c", names, str(layer)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@dataclass
class _SchemaRehearsal:
    packaged: Package
    function: Function
    folder: Path
    database_url: str
    print_line: PrintLine

    def run(self) -> None:
        stack = self._resource()
        shipped = self.function.paths[0]
        files = [migration.file for migration in read_migrations(shipped)]
        last = sum(1 for file in files if file.startswith(MIGRATIONS))
        table, more, fails = (f"{MIGRATIONS}/{last + n:04}_rehearsal_{n}.sql" for n in (1, 2, 3))

        with self._code(shipped, database_url=UNREACHABLE, timeout=UNREACHABLE_TIMEOUT) as invoke:
            self._fails("create without a database", stack.create(invoke), "the database could not be reached")
            self._succeeds("its rollback, a delete", stack.delete(invoke), None)
        with self._code(shipped) as invoke:
            self._succeeds("create", stack.create(invoke), files)
            self._succeeds("update without a new migration", stack.update(invoke), [])
        live = self._changed("table", shipped, {table: TABLE})
        with self._code(live) as invoke:
            self._succeeds("update with a new migration", stack.update(invoke), [table])

        with self._code(self._changed("untagged", live, {"catalogue/queries/rehearsal.sql": UNTAGGED})) as invoke:
            self._fails("update with a forgotten tag", stack.update(invoke), 'write -- tags = ["rehearsal"]')
        with self._code(live) as invoke:
            self._succeeds("its rollback", stack.roll_back(invoke), [])

        new = {more: "create table rehearsal_2 ();\n", fails: FAILS}
        with self._code(self._changed("fails", live, new)) as invoke:
            self._fails("update with a failing migration", stack.update(invoke), f"{fails}:")
        with self._code(live) as invoke:
            self._succeeds("its rollback", stack.roll_back(invoke), [], f", the database stays ahead by {more}")
            self._has([*files, table, more])
            self._fails("update with code older than the schema", stack.update(invoke), f"it has {more}")
            self._succeeds("its rollback", stack.roll_back(invoke), [])
            self._succeeds("delete", stack.delete(invoke), None, self._sample(shipped))

    def _resource(self) -> CustomResource:
        resource = self.packaged.document["Resources"][RESOURCE]
        given = {name: "" if isinstance(value, dict) else str(value) for name, value in resource["Properties"].items()}
        if "SampleSize" in given:
            given["SampleSize"] = str(SAMPLE_SIZE)
        return CustomResource(RESOURCE, resource["Type"], given)

    @contextmanager
    def _code(
        self, folder: Path, *, database_url: str = "", timeout: float | None = None
    ) -> Iterator[Callable[[object], object]]:
        """Run a version of the function within the block: yields the callable that invokes it."""
        paths = (folder, *self.function.paths[1:])
        function = replace(self.function, paths=paths, timeout=timeout or self.function.timeout)
        log = self.folder / "function.log"
        environment = function_environment(database_url or self.database_url, "", embedded=True)[FUNCTION]
        with closing(Pool(function, environment | {"PYTHONDONTWRITEBYTECODE": "1"}, log)) as pool:
            try:
                yield pool.invoke
            except FunctionFailed as failure:
                end = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise LocalError(f"the migrate function sent CloudFormation no response: {failure}\n{end}") from None

    def _changed(self, name: str, code: Path, files: dict[str, str]) -> Path:
        """Return a copy of `code` that has `files` added to it."""
        folder = shutil.copytree(code, self.folder / name)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        return folder

    def _succeeds(self, step: str, response: ResourceResponse, applied: list[str] | None, also: str = "") -> None:
        if not response.succeeded:
            raise LocalError(f"{step}: FAILED: {response.reason}")
        if applied is not None and (done := response.data.get("Applied")) != ",".join(applied):
            raise LocalError(f"{step}: applied {done!r} instead of {','.join(applied)!r}")
        done = f", applied {', '.join(applied)}" if applied else ", nothing to apply" if applied == [] else ""
        self.print_line(f"✓ {step}: SUCCESS{done}{also}")

    def _fails(self, step: str, response: ResourceResponse, reason: str) -> None:
        if response.succeeded:
            raise LocalError(f"{step}: SUCCESS, but it must fail")
        if reason not in response.reason:
            raise LocalError(f"{step}: the reason does not say {reason!r}: {response.reason}")
        self.print_line(f"✓ {step}: FAILED as it must, «{response.reason.replace(f'{self.folder}/', '')}»")

    def _has(self, files: list[str]) -> None:
        names = ",".join(Path(file).stem for file in files)
        rows = self._ask(
            "select string_agg(name, ',' order by series = 'catalogue', number) from cacheaside.migrations"
        )
        if rows != names:
            raise LocalError(f"the database has the migrations {rows} instead of {names}")

    def _sample(self, code: Path) -> str:
        """Return a text about the sample, empty if the catalogue brings none."""
        rows = Sample.read(code / "catalogue", SAMPLE_SIZE).total
        if not rows:
            return ""
        if (done := self._ask("select done from cacheaside.sample_load")) != str(rows):
            raise LocalError(f"{done} rows of the sample were loaded instead of {rows}")
        return f", {rows} rows of the sample stay"

    def _ask(self, sql: str) -> str:
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            [(value,)] = cursor.fetchall()
        return str(value)
