"""What every function is given, and in which order a deployment brings it up."""

from __future__ import annotations

import pytest

from tests.template.stack import TEMPLATE, Stack

DATABASE = "Database.Endpoint.Address:Database.Endpoint.Port/cacheaside"
VERIFIED = "sslmode=verify-full&sslrootcert=/opt/certificates/rds-global-bundle.pem"


def everyones(service: str) -> dict[str, str]:
    return {
        "AUTHENTICATION": "iam",
        "POWERTOOLS_SERVICE_NAME": service,
        "POWERTOOLS_METRICS_NAMESPACE": "cacheaside",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


@pytest.mark.parametrize("name", ["Query", "Command", "Invalidate"])
def test_environment_is_the_contract(stack: Stack, name: str) -> None:
    role = name.lower()
    replicas = stack.of_type("AWS::ElastiCache::ReplicationGroup")["Cache"]["NumCacheClusters"] - 1
    its_own = {
        "Query": {},
        "Command": {"CACHE_REPLICAS": replicas},
        "Invalidate": {
            "READ_DATABASE_URL": f"postgresql://cacheaside_query@{DATABASE}?{VERIFIED}",
            "INVALIDATION": stack.parameters["Invalidation"],
        },
    }
    assert stack.functions[f"{name}Function"]["Environment"]["Variables"] == everyones(role) | its_own[name] | {
        "DATABASE_URL": f"postgresql://cacheaside_{role}@{DATABASE}?{VERIFIED}",
        "CACHE_URL": f"rediss://{name}CacheUser@Cache.PrimaryEndPoint.Address:Cache.PrimaryEndPoint.Port",
        "CACHE_NAME": "Cache",
        "CACHE_MODE": "node",
    }


def test_migrate_knows_the_database_only(stack: Stack) -> None:
    assert stack.functions["MigrateFunction"]["Environment"]["Variables"] == everyones("migrate") | {
        "DATABASE_URL": f"postgresql://cacheaside_owner@{DATABASE}?{VERIFIED}",
    }


def test_runtime_layers_and_cpu(stack: Stack) -> None:
    architecture = stack.parameters["Architecture"]
    for function in stack.functions.values():
        dependencies, library = function["Layers"]
        assert dependencies.startswith("DependenciesLayer")
        assert library.startswith("CacheasideLayer")
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", [architecture])
    for layer in stack.of_type("AWS::Lambda::LayerVersion").values():
        assert layer["CompatibleArchitectures"] == [architecture]


def test_handlers(default: Stack) -> None:
    names = ("query", "command", "invalidate", "migrate")
    assert {f["Handler"] for f in default.functions.values()} == {f"{name}.app.handler" for name in names}


def test_a_request_ends_before_the_api_gives_up(stack: Stack) -> None:
    timeouts = {name: function["Timeout"] for name, function in stack.functions.items()}
    migrate = timeouts.pop("MigrateFunction")
    # Its one route asks the cache once, which has 0.2 s; what takes long is what the schedule asks for.
    assert timeouts.pop("InvalidateFunction") == 120
    assert all(timeout < 30 for timeout in timeouts.values())
    assert migrate < stack.resources["Migrations"]["Properties"]["ServiceTimeout"] <= 3600


def test_every_log_is_kept_for_a_while_and_not_for_ever(stack: Stack) -> None:
    for name, function in stack.functions.items():
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": name.replace("Function", "Logs")}
    days = {"dev": 14, "prod": 90}[stack.parameters["Stage"]]
    groups = stack.of_type("AWS::Logs::LogGroup").values()
    assert [group["RetentionInDays"] for group in groups] == [days] * 5


def test_migrations_wait_for_the_whole_path_there_and_back(stack: Stack) -> None:
    assert stack.needs("Migrations") >= {
        "Database",
        "DatabaseFromMigrate",
        "FunctionSubnetARoutes",
        "FunctionSubnetBRoutes",
        "MigrateFunction",
        "MigrateLogs",
        "MigrateRole",
        "MigrateSecurityGroup",
        "NetworkInterfacePolicy",
        "S3Endpoint",
    }


def test_migrations_run_again_when_the_code_changes(default: Stack) -> None:
    changed = Stack(TEMPLATE.read_text().replace("CodeUri: functions/", "CodeUri: functions-changed/"))
    version, other = (s.resources["Migrations"]["Properties"]["CodeVersion"] for s in (default, changed))
    assert version != other
    assert default.resources[version]["Type"] == "AWS::Lambda::Version"


def test_new_code_goes_live_after_its_migrations(stack: Stack) -> None:
    for name in ("QueryFunction", "CommandFunction", "InvalidateFunction"):
        assert "Migrations" in stack.needs(name)


def test_a_migration_is_not_retried_behind_the_deployments_back(default: Stack) -> None:
    config = default.of_type("AWS::Lambda::EventInvokeConfig")["MigrateFunctionEventInvokeConfig"]
    alias = default.resources[default.resources["Migrations"]["Properties"]["ServiceToken"]]["Properties"]
    assert (config["MaximumRetryAttempts"], config["Qualifier"]) == (0, alias["Name"])


def test_size_of_the_sample_shop_reaches_the_migration(stack: Stack) -> None:
    assert stack.resources["Migrations"]["Properties"]["SampleProducts"] == stack.parameters["SampleProducts"]
