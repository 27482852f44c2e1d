"""What must not reach Lambda, or must not be missing there, is noticed before anything is deployed."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from local.deployment import artifacts
from local.deployment.artifacts import check_artifacts
from local.deployment.package import Artifact, Package
from local.errors import LocalError
from tests.support.root import ROOT

HANDLERS = {"QueryFunction": "query.app.handler", "MigrateFunction": "migrate.app.handler"}

Files = dict[str, bytes]


def files(folder: Path, prefix: str = "") -> Files:
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {prefix + path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def zipped(content: Files) -> bytes:
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return written.getvalue()


class Contents:
    """What `sam package` uploads of this project, to be spoilt by a test."""

    def __init__(self) -> None:
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
        return list(check_artifacts(ROOT, Package(Path("packaged.yaml"), {"Resources": resources}, uploaded)))


@pytest.fixture
def contents() -> Contents:
    return Contents()


def test_what_is_packaged_today_is_right(contents: Contents) -> None:
    functions, library, dependencies, total = contents.check()
    system, own = (
        len(list((ROOT / "functions" / path).glob("*.sql"))) for path in ("migrate/system", "catalogue/migrations")
    )
    assert f"2 handlers, {system} system migrations, {own} migrations" in functions
    assert library.startswith("library layer, ")
    assert "psycopg2-binary 2." in dependencies
    assert total.endswith("unpacked, of Lambda's 250.0 MB")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: c.functions.pop("query/app.py"), r"functions and what was packaged of it differ in query/app\.py"),
        (lambda c: c.functions.update({"notes.txt": b""}), r"differ in notes\.txt"),
        (lambda c: c.functions.update({"migrate/app.py": b""}), r"migrate/app\.py was packaged as something else"),
        (lambda c: c.library.update({"python/cacheaside/x.pyc": b""}), r"bytecode was packaged, python/cacheaside/x"),
        (lambda c: c.library.pop("python/cacheaside/errors.py"), r"differ in python/cacheaside/errors\.py"),
        (lambda c: c.dependencies.popitem(), "the dependencies layer was packaged without"),
        (
            lambda c: c.dependencies.update({"certificates/rds-global-bundle.pem": b"older"}),
            r"rds-global-bundle\.pem was packaged as something else",
        ),
    ],
)
def test_what_differs_from_the_checkout_is_named(contents: Contents, spoil: Callable[[Any], object], says: str) -> None:
    spoil(contents)
    with pytest.raises(LocalError, match=says):
        contents.check()


def test_more_than_lambda_takes_is_refused(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "LIMIT_BYTES", 100_000)
    with pytest.raises(LocalError, match=r"MB unpacked, and Lambda takes 0\.10 MB"):
        contents.check()


def test_what_is_no_zip_is_told_with_its_resources() -> None:
    with pytest.raises(LocalError, match="uploaded for QueryFunction is no zip"):
        _ = Artifact(("QueryFunction",), b"<Error/>").sizes
