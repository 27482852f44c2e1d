"""What a new VPC needs, and the prefix lists of security groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from local.doctor.account import Account, Missing
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, fine, wrong

__all__ = ["addresses", "further_egress", "s3_prefix_list", "s3_prefix_lists", "vpcs", "zones", "zones_of_new_vpc"]

# The codes in Service Quotas.
_VPCS: Final = ("vpc", "L-F678F1CE")
_ADDRESSES: Final = ("ec2", "L-0263D0A3")
# Lambda attaches no function to a VPC there, and RDS Proxy and t4g classes are missing too. A zone's id means the same
# zone in each account.
_INCOMPLETE_ZONES: Final = {"use1-az3"}
# A security group has 60 rules by default, and a prefix list counts with its largest number of entries.
_MOST_ENTRIES: Final = 50


def vpcs(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if wanted := deployment.added("AWS::EC2::VPC"):
        yield _quota(aws, _VPCS, len(aws.ask_all("ec2", "describe_vpcs", "Vpcs")), wanted, "VPCs per Region")


def addresses(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if (wanted := deployment.added("AWS::EC2::EIP")) > 0:
        used = len(aws.ask("ec2", "describe_addresses")["Addresses"])
        yield _quota(aws, _ADDRESSES, used, wanted, "EC2-VPC Elastic IPs")


def _quota(aws: Account, quota: tuple[str, str], used: int, wanted: int, name: str) -> Finding:
    service, code = quota
    answer = aws.ask("service-quotas", "get_service_quota", ServiceCode=service, QuotaCode=code)
    limit = int(answer["Quota"]["Value"])
    if used + wanted > limit:
        return wrong(
            f'{used} of {limit} are in use, and the stack adds {wanted}: raise the quota "{name}", or free one'
        )
    return fine(f"{used} of {limit} are in use, the stack adds {wanted}")


def zones(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if not deployment.plan.created("AWS::EC2::VPC"):
        return
    known = {zone["ZoneName"]: zone["ZoneId"] for zone in _zones(aws)}
    chosen = zones_of_new_vpc(deployment, aws)
    if missing := [zone for zone in chosen if zone not in known]:
        yield wrong(f"{', '.join(missing)} is no zone of {aws.region}: choose two of {', '.join(sorted(known))}")
    elif len(set(chosen)) < 2:
        yield wrong(f"{', '.join(chosen) or 'none'}: two different zones are needed")
    elif bad := [zone for zone in chosen if known[zone] in _INCOMPLETE_ZONES]:
        others = [zone for zone in sorted(known) if zone not in chosen]
        yield wrong(
            f"{bad[0]} is {known[bad[0]]}, which has no Lambda in a VPC: set AvailabilityZones to two of "
            f"{', '.join(sorted({*chosen, *others} - {*bad}))}"
        )
    else:
        yield fine(" and ".join(f"{zone} ({known[zone]})" for zone in chosen))


def zones_of_new_vpc(deployment: Deployment, aws: Account) -> list[str]:
    """Return the names of the zones: those of AvailabilityZones, else the first two of Fn::GetAZs.

    Fn::GetAZs lists the zones with a default subnet, and all zones if none has one.
    """
    if chosen := deployment.plan.items("AvailabilityZones"):
        return chosen
    default = [{"Name": "default-for-az", "Values": ["true"]}]
    subnets = aws.ask_all("ec2", "describe_subnets", "Subnets", Filters=default)
    names = {subnet["AvailabilityZone"] for subnet in subnets} or {zone["ZoneName"] for zone in _zones(aws)}
    return sorted(names)[:2]


def _zones(aws: Account) -> list[dict[str, Any]]:
    only = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    found: list[dict[str, Any]] = aws.ask("ec2", "describe_availability_zones", Filters=only)["AvailabilityZones"]
    return found


def s3_prefix_list(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    mapped = deployment.template.get("Mappings", {}).get("Region", {}).get(aws.region, {}).get("S3PrefixList")
    found = s3_prefix_lists(aws)
    if mapped and mapped not in found:
        yield wrong(f"the mapping Region has {mapped}, and AWS has {', '.join(found)}: correct template.yaml")


def s3_prefix_lists(aws: Account) -> list[str]:
    """Return the ids of the prefix lists with the addresses of S3 in this region: one."""
    named = [{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{aws.region}.s3"]}]
    return [each["PrefixListId"] for each in _prefix_lists(aws, Filters=named)]


def further_egress(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if not (chosen := deployment.plan.parameter("FurtherEgress")):
        return
    try:
        [found] = _prefix_lists(aws, PrefixListIds=[chosen])
    except (Missing, ValueError):
        yield wrong(f"{chosen} does not exist in {aws.region}: give the id of a managed prefix list of this region")
        return
    if found.get("AddressFamily", "IPv4") != "IPv4":
        yield wrong(f"{chosen} lists IPv6 addresses, and the subnets have IPv4 addresses only")
    elif found.get("MaxEntries", 0) > _MOST_ENTRIES:
        yield wrong(
            f"{chosen} may have {found['MaxEntries']} entries, and a security group takes about "
            f"{_MOST_ENTRIES}: lower its maximum"
        )
    else:
        yield fine(f"{chosen}, {found['PrefixListName']}")


def _prefix_lists(aws: Account, **arguments: Any) -> list[dict[str, Any]]:
    return aws.ask_all("ec2", "describe_managed_prefix_lists", "PrefixLists", **arguments)
