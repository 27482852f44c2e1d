"""The certificate and the domain of the API."""

from __future__ import annotations

from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks import domain
from local.doctor.deployment import Deployment
from tests.component.local.doctor.support import DEPLOYED, REGION, answer, deployment, lines

NAME = "api.shop.example"
ARN = f"arn:aws:acm:{REGION}:123456789012:certificate/0a"


def chosen(arn: str = ARN) -> Deployment:
    return deployment(DomainName=NAME, CertificateArn=arn)


def certificate(aws: Account, **found: Any) -> list[str]:
    described = {"Status": "ISSUED", "DomainName": NAME} | found
    answer(aws, "acm", "describe_certificate", {"Certificate": described})
    return lines(domain.certificate(chosen(), aws))


def test_a_certificate_of_another_region_is_a_problem(aws: Account) -> None:
    [line] = lines(domain.certificate(chosen("arn:aws:acm:us-east-1:123456789012:certificate/0a"), aws))
    assert line.endswith("is not in eu-central-1: request a certificate in the region of the stack")
    assert line.startswith("✗")


def test_a_certificate_that_does_not_exist_is_a_problem(aws: Account) -> None:
    assert lines(domain.certificate(deployment(), aws)) == []
    [line] = lines(domain.certificate(chosen(), aws))
    assert line == f"✗ {ARN} does not exist in this account"


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


def test_a_domain_that_another_api_has_is_a_problem(aws: Account) -> None:
    assert lines(domain.domain(chosen(), aws)) == [f"✓ {NAME} is free"]
    aws.client("apigatewayv2").create_domain_name(DomainName=NAME)
    [line] = lines(domain.domain(chosen(), aws))
    assert line.startswith(f"✗ another API of this region has {NAME}")


def test_a_domain_that_the_stack_has_itself_is_no_problem(aws: Account) -> None:
    aws.client("apigatewayv2").create_domain_name(DomainName=NAME)
    before = {"DomainName": NAME, "CertificateArn": ARN}
    assert lines(domain.domain(deployment(status=DEPLOYED, before=before), aws)) == []
