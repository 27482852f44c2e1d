"""Every package has a licence that licences.toml allows. The list for the layer is the shorter one."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import PackageMetadata, distributions
from typing import Any

import pytest

from proofs.supply_chain.licences import Policy, licences, normal_name
from tests.support.missing_tool import skip_without_tool
from tests.support.root import ROOT

ENVIRONMENTS = {
    "dev": ".venv",
    "sam": ".venv-sam",
    "checkov": ".venv-checkov",
    "ministack": ".venv-ministack",
    "bench": ".venv-bench",
}
DEPLOYED = re.findall(r"^([\w.-]+)==", (ROOT / "layers/dependencies/requirements.txt").read_text(), re.M)


def installed(folder: str) -> dict[str, PackageMetadata]:
    paths = [str(path) for path in (ROOT / folder).glob("lib/python*/site-packages")]
    return {normal_name(each.metadata["Name"]): each.metadata for each in distributions(path=paths)}


def package(**fields: Any) -> Any:
    message = Message()
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize("requirements", ENVIRONMENTS)
def test_no_package_with_an_unknown_licence_is_installed(requirements: str) -> None:
    packages = installed(ENVIRONMENTS[requirements])
    if not packages:
        skip_without_tool(f"with {ENVIRONMENTS[requirements]}", "not installed")
    policy = Policy.read()
    refused = {name: policy.refuses(metadata, deployed=name in DEPLOYED) for name, metadata in packages.items()}
    assert not {name: found for name, found in refused.items() if found}
    if requirements == "dev":
        assert set(DEPLOYED) <= packages.keys(), "the layer's packages are judged here"


def test_packages_that_go_into_images_are_judged_in_an_environment_too() -> None:
    judged = {name for folder in ENVIRONMENTS.values() for name in installed(folder)}
    for file in ("servers", "stand_in"):
        pins = re.findall(r"^([\w.-]+)==", (ROOT / f"requirements/{file}.txt").read_text(), re.M)
        if missing := set(pins) - judged:
            skip_without_tool("with all environments", f"without {', '.join(missing)}")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"License_Expression": "MIT OR (Apache-2.0 AND GPL-3.0-only)"}, ["MIT", "Apache-2.0", "GPL-3.0-only"]),
        ({"License": "MIT", "Classifier": "License :: OSI Approved :: BSD License"}, ["MIT"]),
        (
            {"License": "see LICENSE", "Classifier": ["Topic :: X", "License :: OSI Approved :: BSD License"]},
            ["BSD License"],
        ),
        ({"License": "My own\nAll rights reserved"}, ["My own"]),
        ({"Classifier": "License :: OSI Approved"}, []),
    ],
)
def test_licences_are_read_from_every_kind_of_metadata(fields: dict[str, Any], found: list[str]) -> None:
    assert licences(package(**fields)) == found


def test_unknown_licence_is_refused() -> None:
    policy = Policy.read()
    assert policy.refuses(package(Name="new", License="AGPL-3.0-only"), deployed=False) == ["AGPL-3.0-only"]
    assert policy.refuses(package(Name="new"), deployed=False) == ["no licence"]
    assert policy.refuses(package(Name="new", License="MPL-2.0"), deployed=True) == ["MPL-2.0"], "not in the layer"
    assert policy.refuses(package(Name="new", License="MPL-2.0"), deployed=False) == []
