"""The database and the cache: encrypted, kept, and without a password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.template.stack import ROOT, TEMPLATE, Stack


def test_database_takes_tokens_over_tls_only(stack: Stack) -> None:
    database = stack.resources["Database"]["Properties"]
    assert database["MasterUserAuthenticationType"] == "iam-db-auth"
    assert database["EnableIAMDatabaseAuthentication"] is True
    parameters = stack.resources[database["DBParameterGroupName"]]["Properties"]
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    assert parameters["Family"] == "postgres" + database["EngineVersion"].partition(".")[0]


def test_database_is_encrypted_and_outlives_the_stack(stack: Stack) -> None:
    database = stack.resources["Database"]
    assert (database["DeletionPolicy"], database["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")
    properties = database["Properties"]
    assert (properties["StorageEncrypted"], properties["StorageType"]) == (True, "gp3")
    assert properties["BackupRetentionPeriod"] >= 1


def test_cache_takes_tokens_over_tls_only(stack: Stack) -> None:
    cache = stack.resources["Cache"]["Properties"]
    assert (cache["TransitEncryptionEnabled"], cache["TransitEncryptionMode"]) == (True, "required")
    assert cache["AtRestEncryptionEnabled"] is True
    users = stack.of_type("AWS::ElastiCache::User")
    (group,) = cache["UserGroupIds"]
    assert set(stack.resources[group]["Properties"]["UserIds"]) == users.keys()
    for user in users.values():
        assert user["AuthenticationMode"] == {"Type": "iam"}
        assert user["UserId"] == user["UserName"]  # or IAM refuses the token
        assert user["UserId"].startswith("shop-")  # the stack's name: ids are unique per account


@pytest.mark.parametrize(("stage", "redundant"), [("dev", False), ("prod", True)])
def test_prod_survives_a_zone_and_dev_is_cheap(stage: str, redundant: bool) -> None:
    stack = Stack(Stage=stage)
    database, cache = (stack.resources[name]["Properties"] for name in ("Database", "Cache"))
    assert (database["MultiAZ"], database["DeletionProtection"]) == (redundant, redundant)
    assert (cache["AutomaticFailoverEnabled"], cache["MultiAZEnabled"]) == (redundant, redundant)
    assert cache["NumCacheClusters"] == (2 if redundant else 1)


@pytest.mark.parametrize("file", [TEMPLATE, ROOT / "samconfig.toml"], ids=lambda file: file.name)
def test_there_is_no_secret_to_leak(file: Path) -> None:
    text = file.read_text()
    settings = r"^\s*-?\s*(MasterUserPassword|ManageMasterUserPassword|Passwords?|AuthToken|SecretString|NoEcho)\s*[:=]"
    assert not re.findall(settings, text, re.MULTILINE)
    assert "{{resolve:" not in text
    assert "SecretsManager" not in text
    assert not re.findall(r"\w+://[^/\s:@]+:[^/\s@]+@", text.replace("AWS::", ""))  # user:password@
    assert not re.findall(r"AKIA[0-9A-Z]{16}", text)
