"""The rehearsal of a deployment, as a person starts it; and that it notices what would fail on AWS."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.component.support.checkout import Checkout
from tests.support.root import ROOT

SAM = os.environ.get("SAM") or shutil.which("sam", path=f"{ROOT}/.venv-sam/bin{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def project(folder: Path) -> Checkout:
    """A copy of this project, without what Python has left in it."""
    assert SAM, "SAM CLI is missing: `make test` installs it into .venv-sam; or set SAM to its path"
    for name in ("local", "functions", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder)
    return Checkout(folder)


def rehearse(project: Checkout, **environment: str) -> tuple[int, str, str]:
    path = "layers/cacheaside:functions:."
    return project.finish("rehearse", PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1", SAM=str(SAM), **environment)


def test_every_step_goes_as_it_must(project: Checkout) -> None:
    # What somebody has set up for AWS plays no part.
    status, out, err = rehearse(project, AWS_PROFILE="nobody", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert (status, err) == (0, "")
    steps = re.findall(r"^✓ (.*)$", out, re.MULTILINE)
    assert [step.partition(":")[0] for step in steps if ": SUCCESS" in step or ": FAILED as it must" in step] == [
        "create without a database",
        "its rollback, a delete",
        "create",
        "update without a new migration",
        "update with a new migration",
        "update with a forgotten tag",
        "its rollback",
        "update with a failing migration",
        "its rollback",
        "update with code older than the schema",
        "its rollback",
        "delete",
    ]
    assert (
        'rehearsal.sql:3: the query reads rehearsal, which is not among its tags; write -- tags = ["rehearsal"]' in out
    )
    assert not list(project.folder.rglob(".aws-sam/build"))  # somebody's build for AWS is left alone


def change(project: Checkout, path: str, old: str, new: str) -> None:
    file = project.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_id_that_changes_is_noticed(project: Checkout) -> None:
    response = "functions/migrate/cloudformation_response.py"
    change(project, response, """{event['LogicalResourceId']}-schema""", "of-its-own")
    change(project, response, 'event.get("PhysicalResourceId") or f', 'event["RequestId"] + ')
    status, out, err = rehearse(project)
    assert status == 1
    assert "make rehearse: Delete: PhysicalResourceId" in err
    assert "CloudFormation would delete the old one" in err
    assert "✓ create without a database" in out


def test_bytecode_that_would_be_shipped_is_noticed(project: Checkout) -> None:
    cache = project.folder / "functions/query/__pycache__"
    cache.mkdir()
    (cache / "app.cpython-311.pyc").touch()
    status, _, err = rehearse(project)
    assert status == 1
    assert "bytecode was packaged, query/__pycache__/app.cpython-311.pyc: delete it in the checkout" in err


def test_template_that_cannot_be_built_is_told_in_sams_words(project: Checkout) -> None:
    change(project, "template.yaml", "ContentUri: layers/cacheaside", "ContentUri: layers/nowhere")
    status, out, err = rehearse(project)
    assert (status, "✓" in out) == (1, False)
    assert err.startswith("make rehearse: sam build failed:\n")
    assert "layers/nowhere" in err
