"""The parameters of the template that offer a choice, and the choices that the tests try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.template.support.modes import Choice, choose
from tests.template.support.stack import Refused, accept, read_template

OFF_ON: Final = ("off", "on")
# What is created. Some values of these dimensions exclude each other.
CORE: Final = {
    "VPC": ("new", "existing"),
    "DatabaseSource": ("new", "aurora", "existing"),
    "CacheType": ("node", "cluster", "serverless", "existing"),
    "Egress": ("isolated", "endpoints", "nat"),
    "RdsProxy": OFF_ON,
}
# How. The names of parameters, or of several parameters that change together.
FREE: Final = {
    "HighAvailability": OFF_ON,
    "CacheMode": ("node", "cluster", "serverless"),
    "ReadAuthorization": ("open", "iam", "jwt"),
    "WriteAuthorization": ("iam", "jwt"),
    "HealthAuthorization": ("open", "reads"),
    "DeveloperMode": OFF_ON,
    "Deployment": ("AllAtOnce", "Canary10Percent5Minutes", "Linear10PercentEvery1Minute"),
    "Architecture": ("arm64", "x86_64"),
    "Invalidation": ("poll", "schedule", "listen"),
    "SnapStart": OFF_ON,
    "AlarmEmail": OFF_ON,
    "DatabaseVersion": ("16", "17", "18"),
    "DatabaseClass": ("db.t4g.micro", "db.r7g.large"),
    "DatabaseStorage": ("20", "80"),
    "DatabaseStorageLimit": ("100", "500"),
    "AuroraMinCapacity": ("0.5", "2"),
    "AuroraMaxCapacity": ("4", "16"),
    "BackupDays": ("1", "14"),
    "DatabaseConnectionsAtMost": ("70", "360"),
    "DeletionProtection": OFF_ON,
    "CacheClass": ("cache.t4g.micro", "cache.r7g.large"),
    "FurtherEgress": OFF_ON,
    "LogLevel": ("DEBUG", "INFO"),
    "LogDays": ("14", "90"),
    "CallersInLog": OFF_ON,
    "Tracing": ("off", "xray"),
    "LambdaInsightsLayer": OFF_ON,
    "KmsKeyArn": OFF_ON,
    "PermissionsBoundaryArn": OFF_ON,
    "cache engine": ("valkey 8.2", "valkey 9.0", "valkey 9.1", "redis 7.1"),
    "concurrency": OFF_ON,
    "CORS": OFF_ON,
    "domain": OFF_ON,
    "zones": OFF_ON,
}
_NO_PARAMETER: Final = {"VPC", "cache engine", "concurrency", "CORS", "domain", "zones"}
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
KEY: Final = "arn:aws:kms:eu-west-1:111122223333:key/0a"
BOUNDARY: Final = "arn:aws:iam::111122223333:policy/boundary"
PREFIX_LIST: Final = "pl-0a"
INSIGHTS: Final = "arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:60"
# Parameters that a value implies, and the values of parameters for which a dimension says only whether they are given.
_MEANS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("VPC", "existing"): EXISTING_VPC,
    ("DatabaseSource", "existing"): EXISTING_DATABASE,
    ("CacheType", "cluster"): {"CacheShards": "5"},
    ("CacheType", "existing"): EXISTING_CACHE,
    ("ReadAuthorization", "jwt"): JWT,
    ("WriteAuthorization", "jwt"): JWT,
    ("concurrency", "on"): {"QueryConcurrency": "40", "CommandConcurrency": "15", "InvalidateConcurrency": "5"},
    ("CORS", "on"): {"CorsOrigins": "https://shop.example,https://office.example"},
    ("domain", "on"): {"DomainName": "api.shop.example", "CertificateArn": "arn:aws:acm:certificate"},
    ("zones", "on"): {"AvailabilityZones": "zone-b,zone-c", "VpcCidr": "172.16.0.0/21"},
    **{
        ("cache engine", f"{engine} {version}"): {"CacheEngine": engine, "CacheVersion": version}
        for engine, version in (("valkey", "8.2"), ("valkey", "9.0"), ("valkey", "9.1"), ("redis", "7.1"))
    },
    **{
        (name, given): {name: value if given == "on" else ""}
        for given in OFF_ON
        for name, value in {
            "AlarmEmail": "someone@shop.example",
            "FurtherEgress": PREFIX_LIST,
            "LambdaInsightsLayer": INSIGHTS,
            "KmsKeyArn": KEY,
            "PermissionsBoundaryArn": BOUNDARY,
        }.items()
    },
}


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
