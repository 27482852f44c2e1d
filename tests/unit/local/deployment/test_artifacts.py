"""A package with a file too many, a missing file or a changed file is refused."""

from __future__ import annotations

import _imp
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from local.deployment import artifacts
from local.deployment.artifacts import check_artifacts
from local.deployment.uploads import Artifact, Package
from local.errors import LocalError
from tests.support.root import ROOT

HANDLERS = {"QueryFunction": "query.app.handler", "MigrateFunction": "migrate.app.handler"}

# Of unchecked bytecode of Python 3.13.
HEADER = b"\xf3\r\r\n\x01\0\0\0"
ERRORS = "python/cacheaside/__pycache__/errors.cpython-313.pyc"

Files = dict[str, bytes]


def files(folder: Path, prefix: str = "") -> Files:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    paths = [path for path in paths if path.name != "Makefile"]
    return {prefix + path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def compiled(content: Files) -> Files:
    """Return bytecode as Python 3.13 makes it, as far as the check reads it."""
    modules = {name: data for name, data in content.items() if name.endswith(".py")}
    return {
        f"{Path(name).parent.as_posix()}/__pycache__/{Path(name).stem}.cpython-313.pyc": HEADER
        + _imp.source_hash(int.from_bytes(HEADER[:4], "little"), data)
        for name, data in modules.items()
    }


def zipped(content: Files) -> bytes:
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return written.getvalue()


class Contents:
    """The uploads of `sam deploy` for this project. A test changes them."""

    def __init__(self) -> None:
        self.root = ROOT
        pins = (ROOT / "layers/dependencies/requirements.txt").read_text().split()
        pinned = [pin.replace("-", "_").replace("==", "-") for pin in pins if "==" in pin]
        self.functions = files(ROOT / "functions")
        self.library = files(ROOT / "layers/cacheaside/cacheaside", "python/cacheaside/")
        self.dependencies = files(ROOT / "layers/dependencies/certificates", "certificates/")
        self.dependencies |= {f"python/{pin}.dist-info/METADATA": b"" for pin in pinned}

    def check(self) -> list[str]:
        resources: dict[str, Any] = {
            name: {"Type": "AWS::Serverless::Function", "Properties": {"Handler": handler}}
            for name, handler in HANDLERS.items()
        }
        for name in ("CacheasideLayer", "DependenciesLayer"):
            resources[name] = {"Type": "AWS::Serverless::LayerVersion"}
        contents = {tuple(HANDLERS): self.functions, ("CacheasideLayer",): self.library}
        contents["DependenciesLayer",] = self.dependencies
        uploaded = tuple(Artifact(names, zipped(content)) for names, content in contents.items())
        return list(check_artifacts(self.root, Package({"Resources": resources}, uploaded)))


@pytest.fixture
def contents() -> Contents:
    return Contents()


def test_package_of_this_checkout_is_right(contents: Contents) -> None:
    functions, library, dependencies, total = contents.check()
    system, own = (
        len(list((ROOT / "functions" / path).glob("*.sql"))) for path in ("migrate/system", "catalogue/migrations")
    )
    assert f"2 handlers, {system} system migrations, {own} migrations" in functions
    assert library.startswith("library layer, ")
    assert "psycopg2-binary 2." in dependencies
    assert total.endswith("unpacked, of Lambda's 250.0 MB")


def test_package_of_an_empty_catalogue_is_right(contents: Contents, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "layers", tmp_path / "layers")
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__", "*.sql"))
    shutil.copytree(ROOT / "functions/migrate", tmp_path / "functions/migrate", dirs_exist_ok=True)
    contents.root, contents.functions = tmp_path, files(tmp_path / "functions")
    assert "0 migrations, 0 queries, 0 commands" in contents.check()[0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda c: c.functions.pop("query/app.py"),
            r"functions and its package .* same files: query/app\.py",
        ),
        (lambda c: c.functions.update({"notes.txt": b""}), r"the same files: notes\.txt"),
        (
            lambda c: c.functions.update({"migrate/app.py": b""}),
            r"migrate/app\.py in the package differs",
        ),
        (lambda c: c.library.pop("python/cacheaside/errors.py"), r"the same files: python/cacheaside/errors\.py"),
        (lambda c: c.dependencies.popitem(), "the dependencies layer was packaged without"),
        (
            lambda c: c.dependencies.update({"certificates/rds-global-bundle.pem": b"older"}),
            r"rds-global-bundle\.pem in the package differs from the checkout",
        ),
    ],
)
def test_difference_from_the_checkout_is_named(contents: Contents, spoil: Callable[[Any], object], says: str) -> None:
    spoil(contents)
    with pytest.raises(LocalError, match=says):
        contents.check()


def test_bytecode_of_each_module_is_right(contents: Contents) -> None:
    for part in (contents.functions, contents.library, contents.dependencies):
        part |= compiled(part)
    assert len(contents.check()) == 4


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda library: library.pop(ERRORS), "not every module has bytecode and vice versa: .*errors"),
        (lambda library: library.update({"python/x.pyc": b""}), r"vice versa: python/x\.pyc"),
        (lambda library: library.update({ERRORS: HEADER + bytes(8)}), "errors.* is not of python/cacheaside/errors.py"),
        (lambda library: library.update({ERRORS: b"\xa7" + library[ERRORS][1:]}), "or not of Python 3.13"),
        (lambda library: library.update({ERRORS: HEADER[:4] + bytes(4) + library[ERRORS][8:]}), "errors.* is not of"),
    ],
    ids=["missing", "without a module", "of another source", "of another Python", "with the time of its source"],
)
def test_other_bytecode_is_named(contents: Contents, spoil: Callable[[Files], object], says: str) -> None:
    contents.library |= compiled(contents.library)
    spoil(contents.library)
    with pytest.raises(LocalError, match=says):
        contents.check()


def test_more_than_lambdas_limit_is_refused(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "LIMIT_BYTES", 100_000)
    with pytest.raises(LocalError, match=r"MB unpacked, and Lambda takes 0\.10 MB"):
        contents.check()


def test_upload_that_is_no_zip_is_an_error_that_names_its_resources() -> None:
    with pytest.raises(LocalError, match="the upload for QueryFunction is no zip"):
        _ = Artifact(("QueryFunction",), b"<Error/>").sizes
