"""What a new VPC needs of the account."""

from __future__ import annotations

import pytest

from local.doctor.account import Account
from local.doctor.checks import network
from tests.component.local.doctor.support import DEPLOYED, REGION, answer, deployment, lines, refuse


def quota(aws: Account, value: int) -> None:
    answer(aws, "service-quotas", "get_service_quota", {"Quota": {"Value": float(value), "QuotaName": "of them"}})


def test_a_new_vpc_without_room_in_the_quota_is_a_problem(aws: Account) -> None:
    ec2 = aws.client("ec2")
    for _ in range(4 - len(ec2.describe_vpcs()["Vpcs"])):
        ec2.create_vpc(CidrBlock="10.1.0.0/16")
    quota(aws, 5)
    assert lines(network.vpcs(deployment(), aws)) == ["✓ 4 of 5 are in use, and the stack adds 1"]
    ec2.create_vpc(CidrBlock="10.1.0.0/16")
    [line] = lines(network.vpcs(deployment(), aws))
    assert line.startswith('✗ 5 of 5 are in use, and the stack adds 1: raise the quota "of them"')


def test_a_stack_that_has_its_vpc_needs_no_other(aws: Account) -> None:
    quota(aws, 1)
    assert lines(network.vpcs(deployment(status=DEPLOYED), aws)) == []


@pytest.mark.parametrize(("available", "needed"), [("off", 1), ("on", 2)])
def test_gateways_without_room_for_their_addresses_are_a_problem(aws: Account, available: str, needed: int) -> None:
    of = deployment(Egress="nat", HighAvailability=available)
    quota(aws, needed)
    assert lines(network.addresses(of, aws)) == [f"✓ 0 of {needed} are in use, and the stack adds {needed}"]
    aws.client("ec2").allocate_address(Domain="vpc")
    [line] = lines(network.addresses(of, aws))
    assert line.startswith(f"✗ 1 of {needed} are in use, and the stack adds {needed}")
    assert lines(network.addresses(deployment(), aws)) == []


def zones(aws: Account, ids: dict[str, str]) -> None:
    found = [{"ZoneName": f"{REGION}{letter}", "ZoneId": zone_id} for letter, zone_id in ids.items()]
    answer(aws, "ec2", "describe_availability_zones", {"AvailabilityZones": found})


def test_the_zones_of_getazs_are_those_with_a_default_subnet(aws: Account) -> None:
    subnets = [{"AvailabilityZone": f"{REGION}{letter}"} for letter in "cb"]
    answer(aws, "ec2", "describe_subnets", {"Subnets": subnets})
    zones(aws, {"a": "euc1-az1", "b": "euc1-az2", "c": "euc1-az3"})
    assert lines(network.zones(deployment(), aws)) == ["✓ eu-central-1b (euc1-az2) and eu-central-1c (euc1-az3)"]


def test_the_zones_of_an_account_without_default_subnets_are_the_first_two(aws: Account) -> None:
    answer(aws, "ec2", "describe_subnets", {"Subnets": []})
    zones(aws, {"c": "euc1-az3", "b": "euc1-az2", "a": "euc1-az1"})
    assert lines(network.zones(deployment(), aws)) == ["✓ eu-central-1a (euc1-az1) and eu-central-1b (euc1-az2)"]


def test_a_zone_without_lambda_is_a_problem_and_the_others_are_named(aws: Account) -> None:
    zones(aws, {"a": "use1-az3", "b": "use1-az1", "c": "use1-az2"})
    answer(aws, "ec2", "describe_subnets", {"Subnets": []})
    [line] = lines(network.zones(deployment(), aws))
    assert line.startswith("✗ eu-central-1a (use1-az3) has no Lambda")
    assert line.endswith("to two of eu-central-1b, eu-central-1c")
    [line] = lines(network.zones(deployment(AvailabilityZones="eu-central-1b,eu-central-1c"), aws))
    assert line.startswith("✓")


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ("eu-central-1a,eu-west-1b", "✗ eu-west-1b (unknown) has no Lambda"),
        ("eu-central-1a,eu-central-1a", "✗ eu-central-1a, eu-central-1a: two different zones"),
    ],
)
def test_chosen_zones_that_are_not_two_of_the_region_are_a_problem(aws: Account, chosen: str, problem: str) -> None:
    [line] = lines(network.zones(deployment(AvailabilityZones=chosen), aws))
    assert line.startswith(problem)


def test_a_prefix_list_that_does_not_fit_into_a_security_group_is_a_problem(aws: Account) -> None:
    def examined(entries: int) -> list[str]:
        client = aws.client("ec2")
        made = client.create_managed_prefix_list(PrefixListName="proxy", MaxEntries=entries, AddressFamily="IPv4")
        return lines(network.further_egress(deployment(FurtherEgress=made["PrefixList"]["PrefixListId"]), aws))

    assert examined(50)[0].endswith(", proxy")
    [line] = examined(51)
    assert line.startswith("✗")
    assert "may have 51 entries" in line


def test_a_prefix_list_that_does_not_exist_is_a_problem(aws: Account) -> None:
    assert lines(network.further_egress(deployment(), aws)) == []
    refuse(aws, "ec2", "describe_managed_prefix_lists", "InvalidPrefixListID.NotFound")
    [line] = lines(network.further_egress(deployment(FurtherEgress="pl-0a"), aws))
    assert line.startswith("✗ InvalidPrefixListID.NotFound")
