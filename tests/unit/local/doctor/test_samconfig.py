"""samconfig.toml is read as SAM reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.doctor.samconfig import Configuration, read_configuration
from local.errors import LocalError
from tests.support.root import ROOT


def read(folder: Path, text: str, environment: str = "default") -> Configuration:
    path = folder / "samconfig.toml"
    path.write_text("version = 0.1\n" + text)
    return read_configuration(path, environment)


def test_settings_of_deploy_replace_the_global_ones(tmp_path: Path) -> None:
    configuration = read(
        tmp_path,
        """
        [default.global.parameters]
        stack_name = "shop"
        region = "eu-west-1"
        parameter_overrides = ["Egress=nat", "SampleSize=0"]
        [default.deploy.parameters]
        region = "eu-central-1"
        profile = "work"
        parameter_overrides = ["Egress=isolated"]
        """,
    )
    assert configuration == Configuration("default", "shop", "eu-central-1", "work", {"Egress": "isolated"})


@pytest.mark.parametrize(
    "written",
    [
        """'A=1 B="two words" C=\\"\\"'""",
        """['A=1', 'B="two words"', 'C=""']""",
        """['A=1', "B='two words' C=''"]""",
        """{ A = 1, B = "two words", C = "" }""",
    ],
)
def test_every_form_of_the_parameters_that_sam_takes(tmp_path: Path, written: str) -> None:
    text = f"[default.deploy.parameters]\nstack_name = 'shop'\nparameter_overrides = {written}".replace('\\"', '"')
    assert read(tmp_path, text).parameters == {"A": "1", "B": "two words", "C": ""}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[prod", "samconfig.toml is not TOML"),
        ("[prod.global.parameters]\nstack_name = 'x'", "no environment default; it has prod"),
        ("[default.build.parameters]\ncached = true", r"\[default.global.parameters\] has no stack_name"),
        ("[default.deploy.parameters]\nstack_name = 'x'\nparameter_overrides = ['A=1', 'B']", "instead of 'B'"),
        ("[default.deploy.parameters]\nstack_name = 'x'\nparameter_overrides = ['A=1', 2]", "instead of 2"),
        ("[default.deploy.parameters]\nstack_name = 'x'\nparameter_overrides = 'file://p'", "instead of 'file://p'"),
        ("[default.deploy.parameters]\nstack_name = 'x'\nparameter_overrides = 'A=\"1'", 'write "Name=value"'),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(LocalError, match=problem):
        read(tmp_path, text)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="run in the folder of the checkout"):
        read_configuration(tmp_path / "samconfig.toml", "default")


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_our_own_file_is_read(environment: str) -> None:
    configuration = read_configuration(ROOT / "samconfig.toml", environment)
    assert configuration.stack.startswith("cacheaside-")
    assert configuration.parameters["Architecture"] == "arm64"
