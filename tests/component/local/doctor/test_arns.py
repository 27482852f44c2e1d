"""The key, the permissions boundary and the layer that parameters name."""

from __future__ import annotations

import json

import pytest

from local.doctor.account import Account
from local.doctor.checks import arns
from tests.component.local.doctor.support import REGION, deployment, lines


def test_a_key_of_this_region_is_fine(aws: Account) -> None:
    assert lines(arns.key(deployment(), aws)) == []
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert lines(arns.key(deployment(KmsKeyArn=arn), aws)) == [f"✓ {arn}"]


def test_a_disabled_key_is_a_problem(aws: Account) -> None:
    made = aws.client("kms").create_key()["KeyMetadata"]
    aws.client("kms").disable_key(KeyId=made["KeyId"])
    [line] = lines(arns.key(deployment(KmsKeyArn=made["Arn"]), aws))
    assert line.startswith(f"✗ {made['Arn']} is Disabled")


def test_a_key_that_only_signs_is_a_problem(aws: Account) -> None:
    made = aws.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    [line] = lines(arns.key(deployment(KmsKeyArn=made["Arn"]), aws))
    assert line.startswith(f"✗ {made['Arn']} is of the kind RSA_2048")


@pytest.mark.parametrize(
    ("region", "problem"),
    [("us-east-1", "is not in eu-central-1"), (REGION, "does not exist")],
)
def test_a_key_of_another_region_or_of_nobody_is_a_problem(aws: Account, region: str, problem: str) -> None:
    arn = f"arn:aws:kms:{region}:123456789012:key/0a"
    [line] = lines(arns.key(deployment(KmsKeyArn=arn), aws))
    assert line.startswith(f"✗ {arn} {problem}")


def test_a_boundary_that_does_not_exist_is_a_problem(aws: Account) -> None:
    arn = "arn:aws:iam::123456789012:policy/boundary"
    of = deployment(PermissionsBoundaryArn=arn)
    assert lines(arns.permissions_boundary(deployment(), aws)) == []
    assert lines(arns.permissions_boundary(of, aws)) == [f"✗ there is no policy {arn}"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    aws.client("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(policy))
    assert lines(arns.permissions_boundary(of, aws)) == [f"✓ {arn}"]


LAYER = "arn:aws:lambda:{}:580247275435:layer:LambdaInsightsExtension{}:60"


@pytest.mark.parametrize(
    ("layer", "cpu", "mark"),
    [
        (LAYER.format(REGION, "-Arm64"), "arm64", "✓"),
        (LAYER.format(REGION, ""), "x86_64", "✓"),
        (LAYER.format(REGION, ""), "arm64", "✗"),
        (LAYER.format(REGION, "-Arm64"), "x86_64", "✗"),
        (LAYER.format("us-east-1", "-Arm64"), "arm64", "✗"),
    ],
)
def test_a_layer_for_another_cpu_or_region_is_a_problem(aws: Account, layer: str, cpu: str, mark: str) -> None:
    [line] = lines(arns.insights_layer(deployment(LambdaInsightsLayer=layer, Architecture=cpu), aws))
    assert line.startswith(mark)
    assert lines(arns.insights_layer(deployment(), aws)) == []
