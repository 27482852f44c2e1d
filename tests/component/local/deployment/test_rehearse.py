"""The rehearsal of a deployment, started by its command; and that it finds what would fail on AWS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.sam_cli import find_sam
from tests.component.support.checkout import Checkout, copy_project
from tests.support.root import ROOT


@pytest.fixture
def project(folder: Path) -> Checkout:
    return copy_project(folder)


def rehearse(project: Checkout, **environment: str) -> tuple[int, str, str]:
    return project.finish("rehearse", PYTHONDONTWRITEBYTECODE="1", SAM=str(find_sam(ROOT)), **environment)


def test_every_step_goes_as_it_must(project: Checkout) -> None:
    # The AWS settings of this machine are not used.
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
    assert not list(project.folder.rglob(".aws-sam/build"))  # a build for AWS is not overwritten


def change(project: Checkout, path: str, old: str, new: str) -> None:
    file = project.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_changed_physical_id_is_found(project: Checkout) -> None:
    response = "functions/migrate/cloudformation_response.py"
    change(project, response, """{event['LogicalResourceId']}-schema""", "of-its-own")
    change(project, response, 'event.get("PhysicalResourceId") or f', 'event["RequestId"] + ')
    status, out, err = rehearse(project)
    assert status == 3
    assert "cacheaside rehearse: Delete: PhysicalResourceId" in err
    assert "CloudFormation would delete the old one" in err
    assert "✓ create without a database" in out


def test_bytecode_of_a_developers_python_is_not_packaged(project: Checkout) -> None:
    cache = project.folder / "functions/query/__pycache__"
    cache.mkdir()
    (cache / "app.cpython-311.pyc").touch()
    status, _, err = rehearse(project)
    assert (status, err) == (0, "")


def test_failed_build_prints_the_output_of_sam(project: Checkout) -> None:
    change(project, "template.yaml", "ContentUri: layers/cacheaside", "ContentUri: layers/nowhere")
    status, out, err = rehearse(project)
    assert (status, "✓" in out) == (3, False)
    assert err.startswith("cacheaside rehearse: sam build failed:\n")
    assert "layers/nowhere" in err
