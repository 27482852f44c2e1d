"""The bill of materials lists what `sam build` puts into the layer, and what comes with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from proofs.supply_chain.sbom import RUNTIME, bill, download
from tests.support.root import ROOT
from tests.template.support.stack import read_template

PINS = (ROOT / "layers/dependencies/requirements.txt").read_text()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return download("arm64", tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def components(wheels: list[Path]) -> dict[str, dict[str, Any]]:
    document = json.loads(bill(wheels))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    return {component["name"]: component for component in document["components"]}


def test_every_package_of_the_layer_is_listed_with_version_hash_licence_and_purl(
    components: dict[str, dict[str, Any]],
) -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", PINS, re.M))
    listed = {name: each for name, each in components.items() if each["type"] == "library"}
    assert {name: each["version"] for name, each in listed.items()} == pinned
    for name, each in listed.items():
        assert each["purl"] == f"pkg:pypi/{name}@{pinned[name]}"
        [digest] = each["hashes"]
        assert digest["alg"] == "SHA-256"
        assert digest["content"] in PINS
        assert each["licenses"]


def test_libraries_inside_a_wheel_are_listed(components: dict[str, dict[str, Any]]) -> None:
    """psycopg2-binary brings libpq and OpenSSL along: an advisory about those concerns the layer."""
    brought = {each["name"]: each for each in components["psycopg2-binary"]["components"]}
    assert any(name.startswith("libpq") and each["hashes"] for name, each in brought.items())
    assert any(each.get("purl", "").startswith("pkg:rpm/") and each["version"] for each in brought.values())


def test_runtime_and_certificates_are_listed(components: dict[str, dict[str, Any]]) -> None:
    runtimes = {r["Properties"].get("Runtime") for r in read_template()["Resources"].values()} - {None}
    runtimes |= {read_template()["Globals"]["Function"]["Runtime"]}
    assert runtimes == {RUNTIME}
    assert components["AWS Lambda"]["version"] == RUNTIME
    assert components["rds-global-bundle.pem"]["hashes"]
