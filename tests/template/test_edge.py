"""edge.yaml: CloudFront with AWS WAF in front of an API that has a domain."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.missing_tool import skip_without_tool
from tests.template.support import tools
from tests.template.support.stack import ROOT, read_template

EDGE: Final = ROOT / "edge.yaml"
RESOURCES: Final[dict[str, Any]] = read_template(EDGE.read_text())["Resources"]
DISTRIBUTION: Final = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
KEY: Final = RESOURCES["CachePolicy"]["Properties"]["CachePolicyConfig"]


@pytest.mark.parametrize(
    ("program", "options"),
    [
        # In us-east-1 are CloudFront's certificates and web ACLs.
        (".venv-sam/bin/cfn-lint", ["--regions", "us-east-1", "--template"]),
        (".venv-checkov/bin/checkov", ["--framework", "cloudformation", "--skip-download", "--compact", "--file"]),
    ],
)
def test_linters_find_nothing(program: str, options: list[str], tmp_path: Path) -> None:
    if not (ROOT / program).exists():
        skip_without_tool("with the linters", f"{program} is missing")
    checked = tools.run(ROOT / program, *options, EDGE, folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_request_passes_the_firewall() -> None:
    acl = RESOURCES["WebAcl"]["Properties"]
    assert acl["Scope"] == "CLOUDFRONT"
    assert DISTRIBUTION["WebACLId"] == {"Fn::GetAtt": ["WebAcl", "Arn"]}
    assert "CacheBehaviors" not in DISTRIBUTION  # one behaviour for all paths
    names = [rule["Name"] for rule in acl["Rules"]]
    assert names == ["rate", "known-bad-inputs", "reputation"]
    assert [rule["Priority"] for rule in acl["Rules"]] == [0, 1, 2]


def test_nothing_is_kept_that_an_answer_does_not_allow() -> None:
    assert (KEY["MinTTL"], KEY["DefaultTTL"]) == (0, 0)


def test_error_is_given_to_nobody_else() -> None:
    """CloudFront keeps these for 10 s unless it is told otherwise, whatever their Cache-Control says."""
    kept = {each["ErrorCode"]: each["ErrorCachingMinTTL"] for each in DISTRIBUTION["CustomErrorResponses"]}
    assert kept == dict.fromkeys([400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504], 0)
    assert all(each.keys() == {"ErrorCode", "ErrorCachingMinTTL"} for each in DISTRIBUTION["CustomErrorResponses"])


def test_callers_with_other_credentials_share_no_answer() -> None:
    key = KEY["ParametersInCacheKeyAndForwardedToOrigin"]
    assert "Authorization" in key["HeadersConfig"]["Headers"]
    assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}


def test_a_request_reaches_the_api_as_it_was_signed() -> None:
    behavior = DISTRIBUTION["DefaultCacheBehavior"]
    assert behavior["OriginRequestPolicyId"] == "216adef6-5c7f-47e4-b989-5492eafa07d3"  # AllViewer, with Host
    assert {"GET", "HEAD", "OPTIONS", "POST"} <= set(behavior["AllowedMethods"])


def test_cloudfront_waits_longer_than_the_functions_run() -> None:
    (origin,) = DISTRIBUTION["Origins"]
    timeout = read_template()["Globals"]["Function"]["Timeout"]
    assert timeout < origin["CustomOriginConfig"]["OriginReadTimeout"]
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
