"""The certificate authorities with which functions verify the database."""

from __future__ import annotations

import re
import ssl
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.template.support.stack import ROOT, Stack, read_template

BUNDLE = ROOT / "layers" / "dependencies" / "certificates" / "rds-global-bundle.pem"
REGIONS = [*read_template()["Mappings"]["Region"]]
# Regions that an account must opt in to. Nobody has told us the ids of their prefix lists.
OPTED_IN = {
    *("af-south-1", "ap-east-1", "ap-south-2", "ap-southeast-3", "ap-southeast-4"),
    *("eu-central-2", "eu-south-1", "eu-south-2", "me-central-1", "me-south-1"),
}


def authorities() -> list[dict[str, Any]]:
    return ssl.create_default_context(cafile=str(BUNDLE)).get_ca_certs()


def common_name(authority: dict[str, Any]) -> str:
    return str(dict(pair for (pair,) in authority["subject"])["commonName"])


def test_every_certificate_is_a_different_root_that_lasts() -> None:
    found = authorities()
    assert len(found) == BUNDLE.read_text().count("BEGIN CERTIFICATE") == len({str(a["serialNumber"]) for a in found})
    for authority in found:
        assert authority["subject"] == authority["issuer"]
        left = ssl.cert_time_to_seconds(str(authority["notAfter"])) - time.time()
        assert timedelta(seconds=left) > timedelta(days=365), authority["subject"]


def test_the_template_has_every_region_of_the_bundle_that_needs_no_opting_in() -> None:
    """Else a deployment there would be refused, though the functions could verify the database."""
    found = {match[1] for a in authorities() if (match := re.match(r"Amazon RDS (\S+) Root CA", common_name(a)))}
    assert found - {*REGIONS} == OPTED_IN


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_of_the_template_has_its_three_roots(region: str) -> None:
    names = {common_name(authority) for authority in authorities() if "Amazon RDS" in str(authority)}
    for algorithm in ("RSA2048", "RSA4096", "ECC384"):
        assert f"Amazon RDS {region} Root CA {algorithm} G1" in names


def test_the_path_that_functions_are_given_is_where_the_layer_puts_it(default: Stack) -> None:
    for function in default.functions.values():
        url = function["Environment"]["Variables"]["DATABASE_URL"]
        assert url.endswith(f"sslrootcert=/opt/certificates/{BUNDLE.name}")
