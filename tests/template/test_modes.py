"""The tested choices of parameters cover all pairs of values, and a contradictory choice is refused with a reason."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from tests.template.support.choices import (
    CORE,
    EXISTING_CACHE,
    EXISTING_DATABASE,
    EXISTING_VPC,
    FREE,
    INSIGHTS,
    JWT,
    MODES,
    allowed,
    parameters_of,
)
from tests.template.support.modes import choose, pairs
from tests.template.support.stack import Refused, Stack, accept, read_template, stack_of

IN_VPC = EXISTING_VPC | {"Egress": "isolated"}
DATABASE = IN_VPC | {"DatabaseSource": "existing"} | EXISTING_DATABASE
CACHE = IN_VPC | {"CacheType": "existing"} | EXISTING_CACHE
REFUSED = [
    (IN_VPC | {"FunctionSubnetIds": ""}, "VpcId needs FunctionSubnetIds"),
    (IN_VPC | {"DataSubnetIds": ""}, "VpcId needs DataSubnetIds"),
    (DATABASE | {"DataSubnetIds": ""}, "VpcId needs DataSubnetIds"),
    (CACHE | {"DataSubnetIds": ""}, "VpcId needs DataSubnetIds"),
    (IN_VPC | {"VpcCidr": "10.1.0.0/16"}, "VpcCidr and AvailabilityZones are for a new VPC"),
    (IN_VPC | {"AvailabilityZones": "zone-a,zone-b"}, "VpcCidr and AvailabilityZones are for a new VPC"),
    (IN_VPC | {"FunctionSubnetIds": "subnet-0f1"}, "FunctionSubnetIds looks like"),
    (IN_VPC | {"DataSubnetIds": "subnet-0d1"}, "DataSubnetIds looks like"),
    ({"VpcCidr": "10.0.0.0/22"}, "VpcCidr looks like"),
    ({"AvailabilityZones": "zone-a"}, "AvailabilityZones looks like"),
    ({"AvailabilityZones": "zone-a,zone-a"}, "AvailabilityZones looks like"),
    ({"FurtherEgress": "10.0.0.0/8"}, "FurtherEgress looks like"),
    ({"LambdaInsightsLayer": INSIGHTS}, "LambdaInsightsLayer sends to CloudWatch Logs"),
    ({"QueryConcurrency": "00"}, "QueryConcurrency looks like"),
    ({"CommandConcurrency": "00"}, "CommandConcurrency looks like"),
    ({"KmsKeyArn": "alias/ours"}, "KmsKeyArn looks like"),
    ({"PermissionsBoundaryArn": "boundary"}, "PermissionsBoundaryArn looks like"),
    ({"DatabaseHost": "db.example"}, "DatabaseHost, DatabaseResourceId and DatabaseSecurityGroupId describe"),
    ({"DatabaseSource": "aurora", "DatabaseResourceId": "db-A"}, "DatabaseHost, DatabaseResourceId and"),
    ({"DatabaseSource": "aurora", "DatabaseClass": "db.r7g.large"}, "DatabaseClass, DatabaseStorage and"),
    ({"DatabaseSource": "aurora", "DatabaseStorage": "50"}, "DatabaseClass, DatabaseStorage and"),
    (DATABASE | {"DatabaseStorageLimit": "200"}, "DatabaseClass, DatabaseStorage and"),
    ({"AuroraMaxCapacity": "8"}, "AuroraMinCapacity and AuroraMaxCapacity are for DatabaseSource aurora"),
    ({"DatabaseClass": "db.serverless"}, "DatabaseClass looks like"),
    ({"DatabasePort": "443"}, "DatabasePort is at least 1150"),
    ({"DatabasePort": "65536"}, "DatabasePort is at most 65535"),
    ({"DatabaseVersion": "15"}, "DatabaseVersion is one of"),
    ({"CacheHost": "cache.example"}, "CacheHost, CacheName, CacheMode and CacheSecurityGroupId describe"),
    ({"CacheMode": "cluster"}, "CacheHost, CacheName, CacheMode and CacheSecurityGroupId describe"),
    ({"CacheEngine": "redis"}, "CacheEngine redis goes with CacheVersion 7.1"),
    ({"CacheVersion": "7.1"}, "CacheEngine redis goes with CacheVersion 7.1"),
    ({"CacheType": "serverless", "CacheClass": "cache.m7g.large"}, "CacheClass is for CacheType node and cluster"),
    (JWT, "JwtIssuer and JwtAudience are for jwt"),
    ({"CertificateArn": "arn:aws:acm:certificate"}, "DomainName needs CertificateArn"),
    (IN_VPC | {"Egress": "endpoints"}, "The stack creates no interface endpoints in an existing VPC"),
    (
        {"FunctionSubnetIds": "subnet-0f1,subnet-0f2"},
        "FunctionSubnetIds and DataSubnetIds are subnets",
    ),
    ({"DataSubnetIds": "subnet-0d1,subnet-0d2"}, "FunctionSubnetIds and DataSubnetIds are subnets"),
    (EXISTING_DATABASE | {"DatabaseSource": "existing"}, "An existing database or cache is in an existing VPC"),
    (EXISTING_CACHE | {"CacheType": "existing"}, "An existing database or cache is in an existing VPC"),
    (DATABASE | {"DatabaseHost": ""}, "An existing database needs DatabaseHost"),
    (DATABASE | {"DatabaseResourceId": ""}, "An existing database needs DatabaseHost"),
    (DATABASE | {"DatabaseSecurityGroupId": ""}, "An existing database needs DatabaseHost"),
    (DATABASE | {"RdsProxy": "on"}, "RdsProxy is for a new database"),
    (DATABASE | {"SampleSize": "20000"}, "A sample is never loaded into an existing database"),
    ({"RdsProxy": "on", "DatabasePort": "5433"}, "An RDS Proxy always listens on 5432"),
    (CACHE | {"CacheHost": ""}, "An existing cache needs CacheHost"),
    (CACHE | {"CacheName": ""}, "An existing cache needs CacheHost"),
    (CACHE | {"CacheSecurityGroupId": ""}, "An existing cache needs CacheHost"),
    ({"CacheType": "serverless", "CachePort": "7000"}, "ElastiCache Serverless listens on 6379 and 6380"),
    ({"CacheShards": "4"}, "CacheShards is for CacheType cluster"),
    ({"CacheType": "serverless", "CacheShards": "4"}, "CacheShards is for CacheType cluster"),
    ({"CacheType": "cluster", "CacheShards": "0"}, "CacheShards is at least 1"),
    ({"CacheType": "cluster", "CacheShards": "251"}, "CacheShards is at most 250"),
    (CACHE | {"CacheMode": "serverless", "CachePort": "7000"}, "ElastiCache Serverless listens on 6379 and 6380"),
    (JWT | {"ReadAuthorization": "jwt", "JwtIssuer": ""}, "jwt needs JwtIssuer and JwtAudience"),
    (JWT | {"WriteAuthorization": "jwt", "JwtAudience": ""}, "jwt needs JwtIssuer and JwtAudience"),
    ({"DomainName": "api.shop.example"}, "DomainName needs CertificateArn"),
    ({"WriteAuthorization": "open"}, "WriteAuthorization is one of iam, jwt"),
    ({"DatabaseName": "shop; drop"}, "DatabaseName looks like"),
    ({"DatabaseName": "template1"}, "DatabaseName is a reserved word"),
    ({"DatabaseName": "order"}, "DatabaseName is a reserved word"),
    ({"DatabaseName": "_shop"}, "DatabaseName looks like"),
    ({"DatabaseOwner": "admin"}, "DatabaseOwner is a reserved word"),
    ({"DatabaseOwner": "rds_superuser"}, "DatabaseOwner looks like"),
    ({"DatabaseOwner": "pg_monitor"}, "DatabaseOwner looks like"),
    ({"DatabaseOwner": "cacheaside_query"}, "DatabaseOwner is a reserved word"),
    ({"SampleSize": "100001"}, "SampleSize is at most 100000"),
    ({"AlarmEmail": "nobody"}, "AlarmEmail looks like"),
    ({"JwtIssuer": "http://issuer.example"}, "JwtIssuer looks like"),
    ({"ReadsPerSecond": "0"}, "ReadsPerSecond looks like"),
    ({"ReadsPerSecond": "0.5"}, "ReadsPerSecond looks like"),
    ({"WritesPerSecond": "1.5"}, "WritesPerSecond looks like"),
]


@pytest.mark.parametrize(("choice", "reason"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_contradictory_choice_is_refused_with_a_reason(choice: dict[str, str], reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        accept(choice, read_template())
    assert str(refusal.value).startswith(reason)


def test_every_assertion_of_every_rule_is_refused_once() -> None:
    reasons = [a["AssertDescription"] for rule in read_template()["Rules"].values() for a in rule["Assertions"]]
    expected = [reason for _, reason in REFUSED]
    assert not [reason for reason in reasons if not any(map(reason.startswith, expected))]


def test_with_an_existing_database_and_cache_nothing_needs_subnets_for_data() -> None:
    stack = stack_of(**DATABASE | CACHE | {"DataSubnetIds": ""})
    assert not stack.of_type("AWS::RDS::DBInstance", "AWS::ElastiCache::ReplicationGroup", "AWS::EC2::Subnet")


def test_lambda_insights_may_use_the_interface_endpoint_of_a_landing_zone() -> None:
    stack_of(**EXISTING_VPC, LambdaInsightsLayer=INSIGHTS, FurtherEgress="pl-0a")


def test_every_pair_of_values_that_may_meet_does_and_every_combination_of_the_core() -> None:
    met = {pair for mode in MODES for pair in pairs(mode)}
    cores = [dict(zip(CORE, values, strict=True)) for values in product(*CORE.values())]
    possible = [core for core in cores if allowed(core)]
    for (one, values), (other, others) in combinations((CORE | FREE).items(), 2):
        for value, another in product(values, others):
            wanted = {one: value, other: another}
            agreeing = (core | wanted for core in possible if core | wanted == wanted | core)
            assert frozenset(wanted.items()) in met or not any(map(allowed, agreeing)), wanted
    assert {tuple(mode[dimension] for dimension in CORE) for mode in MODES} == {tuple(c.values()) for c in possible}
    assert all(map(allowed, MODES))


def test_every_choice_that_the_template_names_is_tried() -> None:
    for name, parameter in read_template()["Parameters"].items():
        if values := parameter.get("AllowedValues"):
            tried = {parameters_of(mode).get(name, str(parameter["Default"])) for mode in MODES}
            assert tried == {*map(str, values)} or name == "LogDays", name


def test_pairs_that_may_not_meet_are_left_out() -> None:
    """b=1 never meets c=3: it needs a=2, which excludes it."""
    apart = ({("a", "1"), ("b", "1")}, {("a", "2"), ("c", "3")}, {("c", "1"), ("d", "1")})
    core, free = {"a": "12", "b": "12"}, {"c": "123", "d": "12"}
    modes = choose(core, free, lambda choice: not any(pair <= choice.items() for pair in apart))
    met = {pair for mode in modes for pair in pairs(mode)}
    assert not met.intersection(map(frozenset, apart))
    assert len(met) == 3 + 5 + 5 + 4 + 4 + 5


def test_nothing_waits_for_itself(stack: Stack) -> None:
    assert not [name for name in stack.resources if name in stack.needs(name)]
