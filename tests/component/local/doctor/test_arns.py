"""The key, the permissions boundary, the layer and the certificate that parameters name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks import arns
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import REGION, answer, deployment, lines


def test_a_key_of_this_region_is_fine(aws: Account) -> None:
    assert lines(arns.key(deployment(), aws)) == []
    arn = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    assert lines(arns.key(deployment(KmsKeyArn=arn), aws)) == [f"✓ {arn}"]


def test_a_disabled_key_is_a_problem(aws: Account) -> None:
    made = aws.client("kms").create_key()["KeyMetadata"]
    aws.client("kms").disable_key(KeyId=made["KeyId"])
    [line] = lines(arns.key(deployment(KmsKeyArn=made["Arn"]), aws))
    assert line.startswith(f"✗ {made['Arn']} is Disabled")


def test_a_key_of_another_region_is_a_problem(aws: Account) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/0a"
    [line] = lines(arns.key(deployment(KmsKeyArn=arn), aws))
    assert line.startswith(f"✗ {arn} is not in eu-central-1")


def test_a_key_that_does_not_exist_is_a_problem(aws: Account) -> None:
    arn = f"arn:aws:kms:{REGION}:123456789012:key/0a"
    [line] = lines(arns.key(deployment(KmsKeyArn=arn), aws))
    assert line.startswith(f"✗ Key '{arn}' does not exist")


def test_a_boundary_that_does_not_exist_is_a_problem(aws: Account) -> None:
    arn = "arn:aws:iam::123456789012:policy/boundary"
    of = deployment(PermissionsBoundaryArn=arn)
    assert lines(arns.permissions_boundary(deployment(), aws)) == []
    [line] = lines(arns.permissions_boundary(of, aws))
    assert line.startswith(f"✗ Policy {arn}")
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


NAME = "api.shop.example"
CERTIFICATE = f"arn:aws:acm:{REGION}:123456789012:certificate/0a"


def chosen(arn: str = CERTIFICATE) -> Deployment:
    return deployment(DomainName=NAME, CertificateArn=arn)


def certificate(aws: Account, **found: Any) -> list[str]:
    described = {"Status": "ISSUED", "DomainName": NAME} | found
    answer(aws, "acm", "describe_certificate", {"Certificate": described})
    return lines(arns.certificate(chosen(), aws))


def test_a_certificate_of_another_region_is_a_problem(aws: Account) -> None:
    [line] = lines(arns.certificate(chosen("arn:aws:acm:us-east-1:123456789012:certificate/0a"), aws))
    assert line.endswith("is not in eu-central-1: request a certificate in the region of the stack")
    assert line.startswith("✗")


def test_a_certificate_that_does_not_exist_is_a_problem(aws: Account) -> None:
    assert lines(arns.certificate(deployment(), aws)) == []
    [line] = lines(arns.certificate(chosen(), aws))
    assert line.startswith(f"✗ Certificate with arn {CERTIFICATE} not found")


def test_a_certificate_that_is_not_validated_is_a_problem(aws: Account) -> None:
    [line] = certificate(aws, Status="PENDING_VALIDATION")
    assert line.startswith("✗ its status is PENDING_VALIDATION")


@pytest.mark.parametrize(
    ("names", "mark"),
    [
        ({}, "✓"),
        ({"DomainName": "*.shop.example"}, "✓"),
        ({"DomainName": "shop.example", "SubjectAlternativeNames": ["shop.example", NAME]}, "✓"),
        ({"DomainName": "shop.example"}, "✗ it is for shop.example"),
        ({"DomainName": "*.example"}, "✗ it is for *.example"),
        ({"DomainName": "*.api.shop.example"}, "✗ it is for *.api.shop.example"),
    ],
)
def test_a_certificate_for_another_name_is_a_problem(aws: Account, names: dict[str, Any], mark: str) -> None:
    [line] = certificate(aws, **names)
    assert line.startswith(mark)
