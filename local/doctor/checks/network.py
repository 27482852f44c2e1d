"""What a new VPC needs, and the prefix list for further egress."""

from __future__ import annotations

from typing import Any, Final

from local.doctor.account import Account
from local.doctor.check import Check
from local.doctor.deployment import Deployment

__all__ = ["addresses", "further_egress", "vpcs", "zones", "zones_of_new_vpc"]

# Lambda attaches no function to a VPC there, and RDS Proxy and t4g classes are missing too. A zone's id means the same
# zone in each account.
_INCOMPLETE_ZONES: Final = {"use1-az3"}
# A security group has 60 rules by default, and a prefix list counts with its largest number of entries.
_MOST_ENTRIES: Final = 50


def vpcs(deployment: Deployment, aws: Account) -> Check:
    if (wanted := deployment.added("AWS::EC2::VPC")) <= 0:
        return None
    used = len(aws.ask_all("ec2", "describe_vpcs", "Vpcs"))
    return (yield from _quota(aws, "vpc", "L-F678F1CE", used, wanted))


def addresses(deployment: Deployment, aws: Account) -> Check:
    if (wanted := deployment.added("AWS::EC2::EIP")) <= 0:
        return None
    used = len(aws.ask("ec2", "describe_addresses")["Addresses"])
    return (yield from _quota(aws, "ec2", "L-0263D0A3", used, wanted))


def _quota(aws: Account, service: str, code: str, used: int, wanted: int) -> Check:
    quota = aws.ask("service-quotas", "get_service_quota", ServiceCode=service, QuotaCode=code)["Quota"]
    state = f"{used} of {quota['Value']:.0f} are in use, and the stack adds {wanted}"
    if used + wanted > quota["Value"]:
        yield f'{state}: raise the quota "{quota["QuotaName"]}", or free one'
    return state


def zones(deployment: Deployment, aws: Account) -> Check:
    if not deployment.plan.created("AWS::EC2::VPC"):
        return None
    known = {zone["ZoneName"]: zone["ZoneId"] for zone in _zones(aws)}
    chosen = zones_of_new_vpc(deployment, aws)
    good = sorted(zone for zone, zone_id in known.items() if zone_id not in _INCOMPLETE_ZONES)
    if bad := [f"{zone} ({known.get(zone, 'unknown')})" for zone in chosen if zone not in good]:
        yield f"{', '.join(bad)} has no Lambda in a VPC: set AvailabilityZones to two of {', '.join(good)}"
    if len(set(chosen)) < 2:
        yield f"{', '.join(chosen) or 'none'}: two different zones are needed, of {', '.join(good)}"
    return " and ".join(f"{zone} ({known.get(zone)})" for zone in chosen)


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


def further_egress(deployment: Deployment, aws: Account) -> Check:
    if not (chosen := deployment.plan.parameter("FurtherEgress")):
        return None
    [found] = aws.ask("ec2", "describe_managed_prefix_lists", PrefixListIds=[chosen])["PrefixLists"]
    if found.get("MaxEntries", 0) > _MOST_ENTRIES:
        yield (
            f"{chosen} may have {found['MaxEntries']} entries, and a security group takes about {_MOST_ENTRIES}: "
            "lower its maximum"
        )
    return f"{chosen}, {found['PrefixListName']}"
