"""The whole command: what is printed, its exit status, and the permissions that it needs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.doctor.account import Account, permission
from local.doctor.check import Check
from local.doctor.examine import WITH_AWS, WITHOUT_AWS, examine
from tests.component.local.doctor.support import answer, refuse
from tests.support.root import ROOT

SOURCES = sorted((ROOT / "local" / "doctor").rglob("*.py"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("template.yaml", "layers", "functions"):
        (tmp_path / name).symlink_to(ROOT / name)
    configure(tmp_path)
    return tmp_path


def configure(checkout: Path, *parameters: str, stack: str = "shop", region: str = "eu-central-1") -> None:
    (checkout / "samconfig.toml").write_text(
        f"""
        version = 0.1
        [default.global.parameters]
        stack_name = "{stack}"
        region = "{region}"
        parameter_overrides = {json.dumps(list(parameters))}
        """
    )


@pytest.fixture
def account(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account that `examine` asks, too: without problems."""
    answer(aws, "service-quotas", "get_service_quota", {"Quota": {"Value": 5.0, "QuotaName": "of them"}})
    zones = [{"Name": f"eu-central-1{letter}"} for letter in "abc"]
    options = {"OrderableDBInstanceOptions": [{"EngineVersion": "18.6", "AvailabilityZones": zones}]}
    answer(aws, "rds", "describe_orderable_db_instance_options", options)
    versions = {"CacheEngineVersions": [{"EngineVersion": "8.2"}]}
    answer(aws, "elasticache", "describe_cache_engine_versions", versions)
    limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
    answer(aws, "lambda", "get_account_settings", {"AccountLimit": limits})
    monkeypatch.setattr("local.doctor.examine.Account", lambda _session, _region: aws)
    return aws


def printed(checkout: Path, environment: str = "default") -> tuple[int, list[str]]:
    said: list[str] = []
    status = examine(checkout, environment, said.append)
    return status, "\n".join(said).splitlines()


def test_a_deployment_without_problems(checkout: Path, account: Account) -> None:
    status, said = printed(checkout)
    assert status == 0
    assert said[0].split() == ["✓", "account", "123456789012"]
    assert said[-1] == "no problems, 1 not checked"
    assert [line for line in said[:-2] if not line.startswith("✓")] == [
        "? build                   not checked: there is none. Run `sam build --config-env default`"
    ]


def test_all_problems_are_shown_at_once_and_the_status_is_1(checkout: Path, account: Account) -> None:
    configure(checkout, "Egress=none", "DeletionProtection=on", "KmsKeyArn=arn:aws:kms:us-east-1:1:key/1", stack="Shop")
    status, said = printed(checkout)
    assert status == 1
    for subject in ("stack name", "parameters", "DeletionProtection", "KmsKeyArn"):
        assert any(line.startswith(f"✗ {subject}") for line in said), subject


def test_without_credentials_only_the_other_checks_are_made(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status, said = printed(checkout)
    assert status == 3
    assert said[0].endswith("Unable to locate credentials: only the checks without AWS are made")
    assert not any(subject in line for line in said for subject in WITH_AWS)
    configure(checkout, "Egress=none")
    assert printed(checkout)[0] == 1


def test_credentials_that_aws_refuses_count_as_none(checkout: Path, account: Account) -> None:
    refuse(account, "sts", "get_caller_identity", "ExpiredToken")
    status, said = printed(checkout)
    assert status == 3
    assert said[0].startswith("? account                 ExpiredToken")


def test_a_missing_permission_is_named_and_the_other_checks_are_made(checkout: Path, account: Account) -> None:
    refuse(account, "lambda", "get_account_settings", "AccessDeniedException")
    status, said = printed(checkout)
    assert status == 0
    assert "? concurrency             not checked: it needs the permission lambda:GetAccountSettings" in said
    assert any(line.startswith("✓ zones") for line in said)


def test_a_service_that_refuses_for_another_reason_is_no_problem_of_the_deployment(
    checkout: Path, account: Account
) -> None:
    refuse(account, "ec2", "describe_vpcs", "RequestLimitExceeded")
    status, said = printed(checkout)
    assert status == 0
    assert any(line.startswith("? VPCs                    not checked: RequestLimitExceeded") for line in said)


def stack(account: Account, status: str, **parameters: str) -> None:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    described = {"StackName": "shop", "StackStatus": status, "CreationTime": "2026-01-01", "Parameters": given}
    answer(account, "cloudformation", "describe_stacks", {"Stacks": [described]})


def test_the_state_and_the_parameters_of_the_stack_are_read(checkout: Path, account: Account) -> None:
    stack(account, "UPDATE_COMPLETE", HighAvailability="on")
    status, said = printed(checkout)
    assert status == 1
    assert "✓ stack                   UPDATE_COMPLETE" in said
    assert any(line.startswith("✗ DeletionProtection      off: the stack exists now") for line in said)
    assert not any(" VPCs " in line for line in said)


def test_a_stack_of_which_only_a_change_set_was_made_does_not_exist_yet(checkout: Path, account: Account) -> None:
    stack(account, "REVIEW_IN_PROGRESS")
    assert any(line.endswith("this is the first deployment") for line in printed(checkout)[1])


def test_a_stack_that_must_be_deleted_is_followed_by_a_first_deployment(checkout: Path, account: Account) -> None:
    stack(account, "ROLLBACK_COMPLETE", HighAvailability="on")
    _, said = printed(checkout)
    assert any(line.startswith("✗ stack                   ROLLBACK_COMPLETE: it can only be deleted") for line in said)
    assert "✓ DeletionProtection      off" in said
    assert any(line.startswith("✓ VPCs") for line in said)


def test_an_answer_of_aws_that_lacks_something_is_no_traceback(checkout: Path, account: Account) -> None:
    answer(account, "lambda", "get_account_settings", {})
    assert (
        "? concurrency             not checked: AWS answered otherwise than expected: KeyError('AccountLimit')"
        in printed(checkout)[1]
    )


def test_a_stack_that_may_not_be_seen_is_not_taken_for_a_new_one(checkout: Path, account: Account) -> None:
    refuse(account, "cloudformation", "describe_stacks", "AccessDenied")
    said = printed(checkout)[1]
    assert [line for line in said if line[2:].startswith("stack  ")] == [
        "? stack                   not checked: it needs the permission cloudformation:DescribeStacks. "
        "The other checks assume a first deployment"
    ]


def test_each_result_is_printed_before_the_next_check(checkout: Path, account: Account, monkeypatch: Any) -> None:
    said: list[str] = []
    before: list[str] = []

    def check(_: object) -> Check:
        before.extend(said)
        yield "wrong"
        before.append(said[-1])
        return None

    monkeypatch.setitem(WITHOUT_AWS, "build", check)
    examine(checkout, "default", said.append)
    assert any(line.startswith("✓ region") for line in before)
    assert before[-1].startswith("✗ build")


def test_a_value_that_is_no_number_is_refused_and_the_other_checks_are_made(checkout: Path, account: Account) -> None:
    configure(checkout, "QueryConcurrency=many", "DatabaseStorage=much", "VpcCidr=here", "AvailabilityZones=one")
    status, said = printed(checkout)
    assert status == 1
    assert any(line.startswith("✗ parameters") and "QueryConcurrency" in line for line in said)
    assert any(line.startswith("✓ concurrency") for line in said)


def calls(name: str) -> set[tuple[str, ...]]:
    """Return the leading text arguments of all calls of methods `name` in the code of doctor."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                found.add(tuple(str(each) for each in texts))
    return found


def questions() -> set[tuple[str, str]]:
    """Return service and operation of all questions."""
    return {(each[0], each[1]) for name in ("ask", "ask_all") for each in calls(name) if len(each) > 1}


def test_the_documented_policy_allows_exactly_what_doctor_asks(session: Any) -> None:
    document = (ROOT / "docs" / "deploying.md").read_text()
    documented = re.findall(r"^ *\"([a-z0-9]+:[A-Z]\w+)\",?$", document, re.MULTILINE)
    asked = questions() - {("sts", "get_caller_identity")}
    assert documented == sorted(permission(session.client(service), operation) for service, operation in asked)


def test_all_questions_only_read() -> None:
    assert len(questions()) > 20
    for _, operation in questions():
        assert operation.startswith(("get_", "describe_")), operation


def test_boto3_is_loaded_only_when_a_check_asks() -> None:
    loaded = [source for source in SOURCES if re.search(r"^(import|from) boto", source.read_text(), re.MULTILINE)]
    assert loaded == []
