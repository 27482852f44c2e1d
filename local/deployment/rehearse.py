"""A deployment without AWS: what `sam deploy` would upload, and what CloudFormation would then ask of the schema.

package    as `sam deploy` does, for a stand-in S3; the template is translated, the artifacts are looked into
schema     the migrate function from the package, in a process of its own, with the variables that the template
           gives it: created, updated, failing, rolled back, deleted; each answer comes by a stand-in response URL
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
from local.deployment.cloudformation import Answer, CustomResource
from local.deployment.package import REGION, Package, host_architecture, package
from local.environment import function_environment
from local.errors import LocalError
from local.servers.postgres import PostgresServer
from local.servers.processes import HOST
from local.template import Function, read
from migrate.upgrade import read_migrations

__all__ = ["rehearse"]

FUNCTION = "MigrateFunction"
RESOURCE = "Migrations"
MIGRATIONS = "catalogue/migrations"
PRODUCTS = 20

TABLE = "create table rehearsal (id bigint primary key);\nselect cacheaside.watch('rehearsal');\n"
FAILS = "select 1;\nalter table rehearsed_by_nobody add column x integer;\n"
NOBODY = f"postgresql://owner@{HOST}:1/none"  # no server listens on this port
UNTAGGED = '-- summary = "Rehearsed"\n-- ttl     = "60s"\n-- tags    = []\nselect id from rehearsal\n'

Tell = Callable[[str], None]


def rehearse(root: Path, tell: Tell) -> None:
    """Go through all of it, telling each step that went as it must. Raises `LocalError` at the first that did not."""
    _forget_aws()
    with tempfile.TemporaryDirectory(prefix="cacheaside-rehearsal-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL, started by root, runs as another user
        packaged = package(root, folder, tell)
        tell(f"✓ packaged for {host_architecture()}: {len(packaged.artifacts)} artifacts in a stand-in S3")
        tell(f"✓ {check_template(packaged)}")
        for said in check_artifacts(root, packaged):
            tell(f"✓ {said}")
        function, said = _unpacked(packaged, folder)
        tell(f"  {said}")
        with PostgresServer(folder / "postgres", durable=False) as database:
            _Rehearsal(packaged, function, folder, database.url, tell).play()
        tell("  passwords are IAM tokens: tests/unit/test_iam.py compares them with botocore's, byte for byte")


def _forget_aws() -> None:
    """Nothing that somebody has set up for AWS plays a part: no profile, no keys, no endpoint."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(nowhere, AWS_DEFAULT_REGION=REGION)  # SAM's translator asks boto3 for one, and calls nobody


def _unpacked(packaged: Package, folder: Path) -> tuple[Function, str]:
    """The function as Lambda would lay it out, and what to say of the layers."""
    function = read(packaged.template).functions[FUNCTION]
    code = packaged.artifact(FUNCTION).unpack(folder / "code")
    library = packaged.artifact("CacheasideLayer").unpack(folder / "library") / "python"
    dependencies = packaged.artifact("DependenciesLayer").unpack(folder / "dependencies") / "python"
    if _importable(dependencies):
        return replace(function, paths=(code, dependencies, library)), "code and both layers come from the package"
    mine = ".".join(map(str, sys.version_info[:2]))
    said = f"code and library come from the package; its dependencies are not for this Python, {mine}: our own are used"
    return replace(function, paths=(code, library)), said


def _importable(layer: Path) -> bool:
    names = "import sys; sys.path.insert(0, sys.argv[1]); import aws_lambda_powertools, psycopg2, redis"
    probe = [sys.executable, "-I", "-S", "-B", "-c", names, str(layer)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@dataclass
class _Rehearsal:
    packaged: Package
    function: Function
    folder: Path
    database_url: str
    tell: Tell

    def play(self) -> None:
        stack = self._resource()
        shipped = self.function.paths[0]
        files = [migration.file for migration in read_migrations(shipped)]
        last = sum(1 for file in files if file.startswith(MIGRATIONS))
        table, more, fails = (f"{MIGRATIONS}/{last + n:04}_rehearsal_{n}.sql" for n in (1, 2, 3))

        with self._code(shipped, database_url=NOBODY) as invoke:
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
            self._succeeds("delete", stack.delete(invoke), None, f", {self._products()} products stay")

    def _resource(self) -> CustomResource:
        resource = self.packaged.document["Resources"][RESOURCE]
        given = {name: "" if isinstance(value, dict) else str(value) for name, value in resource["Properties"].items()}
        if "SampleProducts" in given:
            given["SampleProducts"] = str(PRODUCTS)
        return CustomResource(RESOURCE, resource["Type"], given)

    @contextmanager
    def _code(self, folder: Path, *, database_url: str = "") -> Iterator[Callable[[object], object]]:
        """A version of the function: what calls it."""
        function = replace(self.function, paths=(folder, *self.function.paths[1:]))
        log = self.folder / "function.log"
        environment = function_environment(database_url or self.database_url, "", embedded=True)[FUNCTION]
        with closing(Pool(function, environment | {"PYTHONDONTWRITEBYTECODE": "1"}, log)) as pool:
            try:
                yield pool.invoke
            except FunctionFailed as failure:
                said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise LocalError(f"the migrate function gave CloudFormation no answer: {failure}\n{said}") from None

    def _changed(self, name: str, code: Path, files: dict[str, str]) -> Path:
        """A copy of `code` with `files` beside what it has."""
        folder = shutil.copytree(code, self.folder / name)
        for path, text in files.items():
            (folder / path).write_text(text, encoding="utf-8")
        return folder

    def _succeeds(self, what: str, answer: Answer, applied: list[str] | None, also: str = "") -> None:
        if not answer.succeeded:
            raise LocalError(f"{what}: FAILED: {answer.reason}")
        if applied is not None and (done := answer.data.get("Applied")) != ",".join(applied):
            raise LocalError(f"{what}: applied {done!r} instead of {','.join(applied)!r}")
        done = f", applied {', '.join(applied)}" if applied else ", nothing to apply" if applied == [] else ""
        self.tell(f"✓ {what}: SUCCESS{done}{also}")

    def _fails(self, what: str, answer: Answer, reason: str) -> None:
        if answer.succeeded:
            raise LocalError(f"{what}: SUCCESS, but it must fail")
        if reason not in answer.reason:
            raise LocalError(f"{what}: the reason does not say {reason!r}: {answer.reason}")
        self.tell(f"✓ {what}: FAILED as it must, «{answer.reason.replace(f'{self.folder}/', '')}»")

    def _has(self, files: list[str]) -> None:
        names = ",".join(Path(file).stem for file in files)
        rows = self._ask(
            "select string_agg(name, ',' order by series = 'catalogue', number) from cacheaside.migrations"
        )
        if rows != names:
            raise LocalError(f"the database has the migrations {rows} instead of {names}")

    def _products(self) -> str:
        if (count := self._ask("select count(*) from products")) != str(PRODUCTS):
            raise LocalError(f"{count} products are there instead of {PRODUCTS}")
        return count

    def _ask(self, sql: str) -> str:
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            [(value,)] = cursor.fetchall()
        return str(value)
