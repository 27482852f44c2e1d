"""The layers contain exactly the pinned packages, for the CPU of the functions."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.template.support.stack import ROOT

LAYER: Final = ROOT / "layers" / "dependencies" / "requirements.txt"
TOOLS: Final = ROOT / "requirements" / "sam.txt"
ELF_MACHINES: Final = {"arm64": 183, "x86_64": 62}
_BLOCK: Final = re.compile(r"^([\w.-]+)(?:\[.*?\])?==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def pins(file: Path) -> dict[str, str]:
    """Return name -> version."""
    return {name: pinned for name, pinned, _ in _BLOCK.findall(file.read_text())}


def test_the_layer_holds_the_declared_packages_and_nothing_else() -> None:
    declared = re.findall(r"^[a-z].*$", LAYER.with_suffix(".in").read_text(), re.MULTILINE)
    needed_by_them = {"jmespath", "typing-extensions"}
    assert pins(LAYER).keys() == {*declared, *needed_by_them}
    assert "boto3" not in pins(LAYER)


def test_these_tests_translate_as_sam_does() -> None:
    assert version("aws-sam-translator") == pins(TOOLS)["aws-sam-translator"]


@pytest.mark.parametrize("architecture", ELF_MACHINES)
def test_build_follows_the_architecture_parameter(
    architecture: str, sam: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    choice = f"Architecture={architecture}"
    built = sam("build", "--no-cached", "--build-dir", tmp_path, "--parameter-overrides", choice)
    assert built.returncode == 0, built.stderr

    libraries = [*tmp_path.glob("DependenciesLayer/python/psycopg2/*.so"), *tmp_path.glob("*/python/*.libs/*.so*")]
    assert libraries
    for library in libraries:
        assert struct.unpack_from("<H", library.read_bytes(), 18) == (ELF_MACHINES[architecture],)
    # `&name` and `*name` of the template: CloudFormation accepts neither.
    assert not re.findall(r"\s[&*]\w", (tmp_path / "template.yaml").read_text())
    content = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*/*")}
    assert content >= {
        "DependenciesLayer/certificates/rds-global-bundle.pem",
        "DependenciesLayer/python/redis",
        "DependenciesLayer/python/aws_lambda_powertools",
        "CacheasideLayer/python/cacheaside",
    }
    for name, pinned in pins(LAYER).items():
        package = f"DependenciesLayer/python/{name.replace('-', '_')}-{pinned}.dist-info"
        assert package in content
        assert [*(tmp_path / package).rglob("LICENSE*")], "its licence demands that the text goes with it"
    # Everything is compiled, or nothing: test_bytecode.py says when.
    modules, bytecode = (len(list(tmp_path.rglob(f"*.{suffix}"))) for suffix in ("py", "pyc"))
    assert bytecode == (0 if "no Python 3.13 on PATH" in built.stderr else modules)
