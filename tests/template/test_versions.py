"""A change of code, layers or parameters publishes new versions of the functions that it changes.

A version has the properties that its function had when it was published. CloudFormation publishes another one if the
logical id changes, in which SAM has a digest of the template's text, or the description. The description is a digest
of the property Settings of Migrations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest

from tests.template.support.choices import EXISTING_CACHE, EXISTING_DATABASE, EXISTING_VPC, JWT, MODES, parameters_of
from tests.template.support.stack import TEMPLATE, Refused, Stack, read_template, stack_of

PUBLISHED: Final = ("Query", "Command")
NOT_OF_A_VERSION: Final = {"ReservedConcurrentExecutions", "Tags"}
# Another value of each parameter whose values are not listed in the template.
OTHERS: Final = {
    **EXISTING_VPC,
    **EXISTING_DATABASE,
    **EXISTING_CACHE,
    **JWT,
    "FunctionSubnetIds": "subnet-0f1,subnet-0f3",
    "DataSubnetIds": "subnet-0d1,subnet-0d3",
    "DatabaseHost": "db2.example",
    "DatabaseName": "office",
    "DatabaseOwner": "office_owner",
    "CacheHost": "cache2.example",
    "CacheName": "others",
    "SampleSize": "7",
    "AlarmEmail": "another@shop.example",
    "FurtherEgress": "pl-0b",
    "VpcCidr": "10.1.0.0/16",
    "AvailabilityZones": "zone-a,zone-c",
    "DatabaseClass": "db.t4g.small",
    "DatabaseStorage": "50",
    "DatabaseStorageLimit": "200",
    "AuroraMinCapacity": "2",
    "AuroraMaxCapacity": "32",
    "BackupDays": "3",
    "DatabaseConnectionsAtMost": "60",
    "DatabasePort": "6000",
    "CacheClass": "cache.t4g.small",
    "CacheShards": "7",
    "CachePort": "7000",
    "CorsOrigins": "https://page.example",
    "ReadsPerSecond": "7",
    "WritesPerSecond": "7",
    "DomainName": "",
    "CertificateArn": "arn:another",
    "QueryConcurrency": "7",
    "CommandConcurrency": "7",
    "InvalidateConcurrency": "7",
    "LambdaInsightsLayer": "arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:61",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/0b",
    "PermissionsBoundaryArn": "arn:aws:iam::111122223333:policy/other",
}
STARTS: Final[dict[str, dict[str, str]]] = {
    "new": {},
    "existing": EXISTING_VPC
    | EXISTING_DATABASE
    | EXISTING_CACHE
    | {"DatabaseSource": "existing", "CacheType": "existing"},
    "aurora and serverless, through NAT": {
        "DatabaseSource": "aurora",
        "CacheType": "serverless",
        "Egress": "nat",
        "WriteAuthorization": "jwt",
        **JWT,
    },
    "cluster, with replicas": {"CacheType": "cluster", "HighAvailability": "on"},
}


def published(stack: Stack, name: str) -> tuple[str, str]:
    """Return what decides whether CloudFormation publishes a version: its logical id and what it describes."""
    (version,) = (v for v in stack.of_type("AWS::Lambda::Version") if v.startswith(f"{name}FunctionVersion"))
    return version, str(stack.resources["Migrations"]["Properties"]["Settings"])


def content(stack: Stack, name: str) -> dict[str, Any]:
    """Return what a version consists of."""
    properties = stack.functions[f"{name}Function"]
    return {key: value for key, value in properties.items() if key not in NOT_OF_A_VERSION}


def changes(start: dict[str, str]) -> Iterator[dict[str, str]]:
    """Return `start` with another value of one parameter, for each parameter and each choice, or one number."""
    for name, parameter in read_template()["Parameters"].items():
        now = start.get(name, str(parameter["Default"]))
        values = [str(value) for value in parameter.get("AllowedValues") or [OTHERS[name]] if str(value) != now]
        yield from (start | {name: value} for value in (values[:1] if parameter["Type"] == "Number" else values))


def check(start: dict[str, str], choices: Iterable[dict[str, str]], stack_of: Callable[..., Stack] = stack_of) -> int:
    """Fail if a changed parameter changes a function and publishes no version. Return how many changes were tried."""
    tried = 0
    for choice in choices:
        try:
            stack, other = stack_of(**start), stack_of(**choice)
        except Refused:
            continue
        tried += 1
        for name in PUBLISHED:
            if content(stack, name) != content(other, name):
                assert published(stack, name) != published(other, name), (name, choice.items() - start.items())
    return tried


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_changed_parameter_publishes_what_it_changes(start: dict[str, str]) -> None:
    assert check(start, changes(start)) > 40


def test_modes_with_different_functions_have_different_versions() -> None:
    for name in PUBLISHED:
        seen: dict[tuple[str, str], dict[str, Any]] = {}
        for stack in (stack_of(**parameters_of(mode)) for mode in MODES):
            assert seen.setdefault(published(stack, name), content(stack, name)) == content(stack, name)


def test_a_forgotten_setting_is_noticed() -> None:
    text = re.sub(r"( Settings: \[.*?)!Ref LogLevel, ", r"\1", TEMPLATE.read_text(), flags=re.DOTALL)
    assert text != TEMPLATE.read_text()
    with pytest.raises(AssertionError, match="LogLevel"):
        check({}, [{"LogLevel": "ERROR"}], lambda **choice: Stack(text, **choice))


def test_a_version_has_the_digest_in_itself(stack: Stack) -> None:
    """Lambda refuses to publish a function that has not changed, whatever the description is."""
    for name in PUBLISHED:
        version = stack.resources[published(stack, name)[0]]
        digest = stack.functions[f"{name}Function"]["Environment"]["Variables"]["SETTINGS_DIGEST"]
        assert version["Properties"]["Description"] == digest == "Migrations.SettingsDigest"


def test_a_failed_deployment_leaves_no_version_behind(default: Stack) -> None:
    versions = [r for r in default.resources.values() if r["Type"] == "AWS::Lambda::Version"]
    assert [version["DeletionPolicy"] for version in versions] == ["Delete"] * 3


def test_migrations_are_run_by_the_function_itself_which_has_current_variables(default: Stack) -> None:
    migrations = default.resources["Migrations"]["Properties"]
    assert migrations["ServiceToken"] == "MigrateFunction.Arn"
    assert default.resources[migrations["CodeVersion"]]["Properties"]["FunctionName"] == "MigrateFunction"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ContentUri: layers/cacheaside", "ContentUri: layers/cacheaside-changed"),
        ("ContentUri: layers/dependencies", "ContentUri: layers/dependencies-changed"),
        ("CodeUri: functions/", "CodeUri: functions-changed/"),
        ("    Timeout: 29", "    Timeout: 28"),
    ],
)
def test_a_change_of_code_or_layers_publishes_new_versions(default: Stack, old: str, new: str) -> None:
    changed = Stack(TEMPLATE.read_text().replace(old, new))
    ours = {name for name in default.of_type("AWS::Lambda::Version") if "Migrate" not in name or "29" not in old}
    assert ours
    assert not ours & changed.of_type("AWS::Lambda::Version").keys()
