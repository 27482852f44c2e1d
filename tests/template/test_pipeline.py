"""The pipeline: prod gets only tested and approved code, no key is stored, and each role has least privilege."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from tests.template.support import tools
from tests.template.support.permissions import listed
from tests.template.support.stack import ROOT, read_template

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PIPELINE = yaml_parse((ROOT / "pipeline.yaml").read_text())
STAGES = ("dev", "prod")
# IAM's name of a service where CloudFormation has another, and the services behind some words of SAM.
IAM_NAME = {"apigatewayv2": "apigateway", "certificatemanager": "acm", "serverless": "lambda"}
MADE_BY_SAM = {"HttpApi": "apigateway", "DeploymentPreference": "codedeploy", "Schedule": "events"}
MADE_BY_SAM |= {"ScheduleV2": "scheduler"}
ON_THE_WAY = {"kms"}  # databases are encrypted with AWS's own keys


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    document["on"] = document.pop(True)  # YAML 1.1 reads the word "on" as true
    return document


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for where, job in jobs():
        for step in job.get("steps", []):
            yield where, step


def statements(role: str) -> list[dict[str, Any]]:
    [policy] = PIPELINE["Resources"][role]["Properties"]["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def test_every_action_is_pinned_to_a_commit_and_says_which_version() -> None:
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses:" in line and "uses: ./" not in line:
                assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_one_commit_for_each_action() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


def test_no_secret_is_stored() -> None:
    for path in [*WORKFLOWS, ROOT / "pipeline.yaml"]:
        text = path.read_text()
        assert "secrets." not in text
        assert "secrets: inherit" not in text
        assert "access-key" not in text.lower()
    [who] = [step["with"] for _, step in steps() if "configure-aws-credentials" in step.get("uses", "")]
    assert who == {
        "role-to-assume": "${{ vars.DEPLOY_ROLE }}",
        "aws-region": "${{ vars.AWS_REGION }}",
        "role-duration-seconds": PIPELINE["Resources"]["DeployRole"]["Properties"]["MaxSessionDuration"],
    }


def test_permissions_are_minimal() -> None:
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {"contents": "read"}, path
    granted = {where: job["permissions"] for where, job in jobs() if "permissions" in job}
    assert granted.keys() == {"deploy.yml: dev", "deploy.yml: prod", "stage.yml: deploy"}
    assert all(each == {"contents": "read", "id-token": "write"} for each in granted.values())
    checkouts = [step for _, step in steps() if "actions/checkout" in step.get("uses", "")]
    assert all(step["with"].pop("persist-credentials") is False for step in checkouts)
    assert [step["with"] for step in checkouts if step["with"]] == [{"fetch-depth": 0}], "for the scan of the history"


def test_pull_requests_only_check() -> None:
    for path in WORKFLOWS:
        on = load(path)["on"]
        assert "pull_request_target" not in on
        assert ("pull_request" in on) == (path.name in {"ci.yml", "audit.yml"})
        assert "pull_request" not in on or "id-token" not in path.read_text()


def test_main_goes_to_dev_when_checked_and_to_prod_when_dev_keeps_the_contract() -> None:
    workflow = load(ROOT / ".github/workflows/deploy.yml")
    assert workflow["on"] == {"push": {"branches": ["main"]}}
    check, dev, prod = (workflow["jobs"][name] for name in ("check", "dev", "prod"))
    assert check["uses"] == "./.github/workflows/ci.yml"
    assert (dev["needs"], prod["needs"]) == ("check", "dev")
    assert dev["uses"] == prod["uses"] == "./.github/workflows/stage.yml"
    assert dev["with"] == {"stage": "dev"}, "with the tests that write"
    assert prod["with"] == {"stage": "prod", "smoke": True}
    stage = load(ROOT / ".github/workflows/stage.yml")["jobs"]["deploy"]
    assert stage["environment"] == "${{ inputs.stage }}", "whose reviewers are asked, and which the role trusts"
    runs = [step["run"] for step in stage["steps"] if "run" in step]
    assert "sam deploy" in runs[-2]
    assert runs[-1] == 'make e2e STACK="cacheaside-$STAGE"'
    assert not any("if" in step or "continue-on-error" in step for step in stage["steps"])


def test_both_stages_deploy_the_same_build() -> None:
    transfers = [(where, step) for where, step in steps() if "-artifact@" in step.get("uses", "")]
    assert [(where, step["with"]["name"], step["with"]["path"]) for where, step in transfers] == [
        ("ci.yml: build", "build", ".aws-sam/build"),
        ("stage.yml: deploy", "build", ".aws-sam/build"),
    ]
    builds = [where for where, step in steps() if re.search(r"make build|sam build", step.get("run", ""))]
    assert builds == ["ci.yml: build"]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides = [config[name]["global"]["parameters"]["parameter_overrides"] for name in ("default", *STAGES)]
    architectures = {item for each in overrides for item in each if item.startswith("Architecture=")}
    assert len(architectures) == 1, "the layers are built for one CPU"


def test_bill_of_materials_goes_with_the_build_that_it_describes() -> None:
    runs = [
        (step.get("run") or step["uses"]) for step in load(ROOT / ".github/workflows/ci.yml")["jobs"]["build"]["steps"]
    ]
    assert runs[-3:-1] == ["make build", "make sbom SBOM=.aws-sam/build/sbom.cdx.json"]
    assert "upload-artifact" in runs[-1]


def test_new_advisories_are_looked_for_each_week_and_with_each_changed_pin() -> None:
    workflow = load(ROOT / ".github/workflows/audit.yml")
    assert workflow["on"]["schedule"]
    assert {"**/requirements*.txt", "requirements/**"} <= set(workflow["on"]["pull_request"]["paths"])
    assert [step["run"] for step in workflow["jobs"]["audit"]["steps"] if "run" in step] == ["make audit"]


def test_secrets_are_looked_for_in_the_whole_history_of_each_push() -> None:
    checkout, lint = load(ROOT / ".github/workflows/ci.yml")["jobs"]["lint"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0
    assert "secrets" in lint["run"].split()


def test_deployment_is_never_cut_off_and_nothing_runs_for_ever() -> None:
    stage = load(ROOT / ".github/workflows/stage.yml")["jobs"]["deploy"]
    assert stage["concurrency"] == {"group": "stage-${{ inputs.stage }}", "cancel-in-progress": False}
    assert all(job.get("timeout-minutes", 0) <= 100 for _, job in jobs())
    assert all("timeout-minutes" in job or "uses" in job for _, job in jobs())


def test_files_and_targets_named_by_the_jobs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for where, step in steps():
        assert "${{" not in step.get("run", ""), f"{where}: a shell must be handed values, not text to run"
        if step.get("run", "").startswith("make "):
            targets = [word for word in step["run"].split()[1:] if "=" not in word]
            assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in targets), where
    for _, job in jobs():
        assert "uses" not in job or (ROOT / job["uses"]).exists()
    for stage in STAGES:
        assert config[stage]["global"]["parameters"]["stack_name"] == f"cacheaside-{stage}"
    variables = set(re.findall(r"vars\.(\w+)", (ROOT / ".github/workflows/stage.yml").read_text()))
    assert variables == {output["Description"] for output in PIPELINE["Outputs"].values()}
    assert all(variable in (ROOT / "docs/pipeline.md").read_text() for variable in variables)


def test_role_trusts_one_environment_of_one_repository() -> None:
    [trust] = PIPELINE["Resources"]["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Fn::Sub": "repo:${Repository}:environment:${Stage}"},
        }
    }
    assert PIPELINE["Parameters"]["Stage"]["AllowedValues"] == [*STAGES]


@pytest.mark.parametrize("name", ["acme/shop", "acme@123456/shop@456789", "a-b/c.d_e"])
def test_repository_is_taken_as_github_names_it(name: str) -> None:
    assert re.fullmatch(PIPELINE["Parameters"]["Repository"]["AllowedPattern"], name)


@pytest.mark.parametrize("name", ["*", "acme/*", "acme/shop:ref", "acme", "acme/sh?p", "acme/shop/x"])
def test_repository_is_not_a_pattern(name: str) -> None:
    assert not re.fullmatch(PIPELINE["Parameters"]["Repository"]["AllowedPattern"], name)


def test_github_may_use_its_stack_and_nothing_else() -> None:
    for statement in statements("DeployRole"):
        assert not [action for action in listed(statement["Action"]) if "*" in action]
        for resource in listed(statement["Resource"]):
            named = str(resource)
            assert re.search(r"cacheaside-\$\{Stage\}/|Artifacts|CloudFormationRole|transform/|execute-api", named), (
                named
            )


def test_cloudformation_may_use_the_services_of_the_template_and_no_other() -> None:
    types = [resource["Type"].split("::") for resource in read_template()["Resources"].values()]
    services = {service.lower() for vendor, service, *_ in types if vendor == "AWS"}
    needed = {IAM_NAME.get(service, service) for service in services} | ON_THE_WAY
    needed |= {service for word, service in MADE_BY_SAM.items() if re.search(rf"\b{word}\b", str(read_template()))}
    [granted] = [each for each in statements("CloudFormationRole") if each["Sid"] == "ServicesOfTheTemplate"]
    assert {action.removesuffix(":*") for action in granted["Action"]} == needed - {"iam"}, "IAM has its own statements"
    assert granted["Condition"] == {"StringEquals": {"aws:RequestedRegion": {"Ref": "AWS::Region"}}}


def test_cloudformation_makes_roles_for_the_stack_only() -> None:
    for statement in statements("CloudFormationRole"):
        if any(action.startswith("iam:") for action in listed(statement["Action"])):
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            assert re.search(r"cacheaside-\$\{Stage\}-\*|role/aws-service-role/\*", str(statement["Resource"]))


def test_with_a_boundary_no_role_is_without_it() -> None:
    boundary = {"Fn::If": ["UseBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    for role in ("DeployRole", "CloudFormationRole"):
        assert PIPELINE["Resources"][role]["Properties"]["PermissionsBoundary"] == boundary
    boundless = {"iam:CreateRole", "iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"}
    [creates] = [
        each for each in statements("CloudFormationRole") if boundless & {str(a) for a in listed(each["Action"])}
    ]
    assert set(creates["Action"]) == {"iam:CreateRole", "iam:PutRolePermissionsBoundary"}
    condition = {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "PermissionsBoundaryArn"}}}
    assert creates["Condition"] == {"Fn::If": ["UseBoundary", condition, {"Ref": "AWS::NoValue"}]}


def test_linter_finds_nothing_in_the_roles(cfn_lint: Path) -> None:
    checked = tools.run(cfn_lint, ROOT / "pipeline.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_roles_are_handed_to_the_services_that_take_them_and_no_other() -> None:
    roles = [r["Properties"] for r in read_template()["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
    takers = {s["Principal"]["Service"] for role in roles for s in role["AssumeRolePolicyDocument"]["Statement"]}
    takers |= {
        f"{MADE_BY_SAM[word]}.amazonaws.com"
        for word in ("DeploymentPreference", "ScheduleV2")
        if re.search(rf"\b{word}\b", str(read_template()))
    }
    [passed] = [each for each in statements("CloudFormationRole") if each["Action"] == "iam:PassRole"]
    assert set(passed["Condition"]["StringEquals"]["iam:PassedToService"]) == takers


def test_transforms_of_the_template_may_be_expanded() -> None:
    allowed = str(statements("DeployRole"))
    for transform in listed(read_template()["Transform"]):
        assert f"transform/{transform.removeprefix('AWS::')}" in allowed


@pytest.fixture
def cfn_lint() -> Path:
    """cfn-lint, which is installed with SAM CLI."""
    program = ROOT / ".venv-sam/bin/cfn-lint"
    assert program.exists(), "cfn-lint is missing: `make .venv-sam` installs it"
    return program
