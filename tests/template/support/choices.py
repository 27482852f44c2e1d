"""The parameters of the template that offer a choice, and the choices that the tests try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.template.support.modes import Choice, choose
from tests.template.support.stack import Refused, accept, read_template

OFF_ON: Final = ("off", "on")
# Some values of these dimensions exclude each other.
CORE: Final = {
    "VPC": ("new", "existing"),
    "DatabaseSource": ("new", "existing"),
    "CacheType": ("node", "cluster", "serverless", "existing"),
    "Egress": ("isolated", "endpoints", "nat"),
    "RdsProxy": OFF_ON,
    "Stage": ("dev", "prod"),
}
FREE: Final = {
    "CacheEngine": ("valkey", "redis"),
    "CacheMode": ("node", "cluster", "serverless"),
    "ReadAuthorization": ("open", "iam", "jwt"),
    "WriteAuthorization": ("iam", "jwt"),
    "DeveloperMode": ("auto", *OFF_ON),
    "Deployment": ("AllAtOnce", "Canary10Percent5Minutes", "Linear10PercentEvery1Minute"),
    "Architecture": ("arm64", "x86_64"),
    "Invalidation": ("poll", "schedule", "listen"),
    "SnapStart": OFF_ON,
    "ReservedConcurrency": OFF_ON,
    "OldLayers": ("Delete", "Retain"),
    "CORS": OFF_ON,
    "domain": OFF_ON,
    "AlarmEmail": OFF_ON,
}
EXISTING_VPC: Final = {
    "VpcId": "vpc-0a",
    "FunctionSubnetIds": "subnet-0f1,subnet-0f2",
    "DataSubnetIds": "subnet-0d1,subnet-0d2",
}
EXISTING_DATABASE: Final = {
    "SampleSize": "0",
    "DatabaseHost": "db.example",
    "DatabaseResourceId": "db-EXISTING",
    "DatabaseSecurityGroupId": "sg-0db",
    "DatabaseName": "shop",
    "DatabaseOwner": "shop_owner",
}
EXISTING_CACHE: Final = {"CacheHost": "cache.example", "CacheName": "theirs", "CacheSecurityGroupId": "sg-0ca"}
JWT: Final = {"JwtIssuer": "https://issuer.example", "JwtAudience": "shop,office"}
# Other parameters that a value implies. VPC, CORS and domain are no parameters themselves.
_MEANS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("VPC", "existing"): EXISTING_VPC,
    ("DatabaseSource", "existing"): EXISTING_DATABASE,
    ("CacheType", "cluster"): {"CacheShards": "5"},
    ("CacheType", "existing"): EXISTING_CACHE,
    ("ReadAuthorization", "jwt"): JWT,
    ("WriteAuthorization", "jwt"): JWT,
    ("CORS", "on"): {"CorsOrigins": "https://shop.example,https://office.example"},
    ("domain", "on"): {"DomainName": "api.shop.example", "CertificateArn": "arn:aws:acm:certificate"},
    ("AlarmEmail", "on"): {"AlarmEmail": "someone@shop.example"},
    ("AlarmEmail", "off"): {"AlarmEmail": ""},
}
_NO_PARAMETER: Final = {"VPC", "CORS", "domain"}


def parameters_of(choice: Choice) -> dict[str, str]:
    """Return the parameters that make `choice`."""
    parameters = {name: value for name, value in choice.items() if name not in _NO_PARAMETER}
    for item in choice.items():
        parameters |= _MEANS.get(item, {})
    return parameters


def name_of(choice: Choice) -> str:
    return "-".join(choice[dimension] for dimension in CORE)


def allowed(choice: Choice) -> bool:
    try:
        accept(parameters_of(choice), read_template())
    except Refused:
        return False
    return True


MODES: Final = choose(CORE, FREE, allowed)
