"""SAM CLI's linter accepts the template, and samconfig.toml only uses what the template has."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable

import pytest

from tests.template.support.stack import ROOT, TEMPLATE, Dangling, Stack, read_template, stack_of

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def test_lint_is_clean(sam: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    checked = sam("validate", "--lint")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_validate_lints_by_default() -> None:
    assert CONFIG["default"]["validate"]["parameters"]["lint"] is True


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_environment_deploys_a_stack_that_resolves(environment: str) -> None:
    settings = CONFIG[environment]
    # ElastiCache accepts lower-case ids of at most 40 characters; "-invalidate" is the longest suffix.
    assert settings["global"]["parameters"]["stack_name"].islower()
    assert len(settings["global"]["parameters"]["stack_name"]) <= 29
    assert settings["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    chosen = dict(item.split("=") for item in settings["global"]["parameters"]["parameter_overrides"])
    declared = read_template()["Parameters"]
    assert chosen.keys() <= declared.keys()
    assert stack_of(**chosen).resources  # refuses values that are not allowed
    prod = "prod" in settings["global"]["parameters"]["stack_name"]
    assert prod == (chosen.get("HighAvailability") == "on") == (chosen.get("DeveloperMode", "off") == "off")


def test_a_reference_to_a_resource_that_a_mode_omits_is_found() -> None:
    text = TEMPLATE.read_text().replace("ServiceToken: !GetAtt MigrateFunction.Arn", "ServiceToken: !Ref NatGatewayA")
    assert Stack(text, Egress="nat").resources
    with pytest.raises(Dangling, match="Migrations refers to NatGatewayA"):
        Stack(text, Egress="isolated")
