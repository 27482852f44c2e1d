"""The settings of every function, and the order in which a deployment creates them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.template.support.choices import EXISTING_VPC, INSIGHTS
from tests.template.support.stack import TEMPLATE, Stack, stack_of

VERIFIED = "sslmode=verify-full&sslrootcert=/opt/certificates/rds-global-bundle.pem"
NAMES = ("Query", "Command", "Invalidate", "Migrate")


def environment(stack: Stack, name: str) -> dict[str, str]:
    found: dict[str, str] = stack.functions[f"{name}Function"]["Environment"]["Variables"]
    return found


def everyones(stack: Stack, name: str) -> dict[str, Any]:
    choice = stack.parameters
    database = {
        "new": "Database.Endpoint.Address",
        "aurora": "AuroraCluster.Endpoint.Address",
        "existing": "db.example",
    }[choice["DatabaseSource"]]
    cache, cache_name, mode = {
        "node": ("Cache.PrimaryEndPoint.Address", "Cache", "node"),
        "cluster": ("CacheCluster.ConfigurationEndPoint.Address", "CacheCluster", "cluster"),
        "serverless": ("CacheServerless.Endpoint.Address", "CacheServerless", "serverless"),
        "existing": ("cache.example", "theirs", choice["CacheMode"]),
    }[choice["CacheType"]]
    return {
        "AUTHENTICATION": "iam",
        "POWERTOOLS_SERVICE_NAME": name.lower(),
        "POWERTOOLS_METRICS_NAMESPACE": "shop",
        "TRACING": choice["Tracing"],
        "DATABASE_URL": f"postgresql://{database}:5432/{choice['DatabaseName']}?{VERIFIED}",
        "CACHE_URL": f"rediss://{cache}:6379",
        "CACHE_NAME": cache_name,
        "CACHE_MODE": mode,
    }


def through_proxy(stack: Stack) -> dict[str, str]:
    return {"DATABASE_HOST": "DatabaseProxy.Endpoint"} if stack.parameters["RdsProxy"] == "on" else {}


PUBLISHED = {"SETTINGS_DIGEST": "Migrations.SettingsDigest"}


def test_query_gets_its_users(stack: Stack) -> None:
    own = {"DATABASE_USER": "cacheaside_query", "CACHE_USER": "QueryCacheUser"}
    own |= {
        "READ_AUTHORIZATION": stack.parameters["ReadAuthorization"],
        "WRITE_AUTHORIZATION": stack.parameters["WriteAuthorization"],
        "HEALTH_AUTHORIZATION": (
            "open" if stack.parameters["HealthAuthorization"] == "open" else stack.parameters["ReadAuthorization"]
        ),
        "DEVELOPER_MODE": stack.parameters["DeveloperMode"],
    }
    assert environment(stack, "Query") == everyones(stack, "Query") | own | through_proxy(stack) | PUBLISHED


def test_command_waits_for_the_replicas_of_a_cache_that_has_some(stack: Stack) -> None:
    own: dict[str, Any] = {"DATABASE_USER": "cacheaside_command", "CACHE_USER": "CommandCacheUser"}
    has_some = stack.parameters["CacheType"] in ("node", "cluster") and stack.parameters["HighAvailability"] == "on"
    own |= {"CACHE_REPLICAS": int(has_some)}
    assert environment(stack, "Command") == everyones(stack, "Command") | own | through_proxy(stack) | PUBLISHED


def test_command_waits_for_all_replicas(stack: Stack) -> None:
    for cache in stack.of_type("AWS::ElastiCache::ReplicationGroup").values():
        replicas = cache["ReplicasPerNodeGroup"] if "NumNodeGroups" in cache else cache["NumCacheClusters"] - 1
        assert environment(stack, "Command")["CACHE_REPLICAS"] == replicas


def test_invalidate_asks_the_database_itself_and_reads_as_the_query_function_does(stack: Stack) -> None:
    assert environment(stack, "Invalidate") == everyones(stack, "Invalidate") | {
        "DATABASE_USER": "cacheaside_invalidate",
        "READ_DATABASE_USER": "cacheaside_query",
        "CACHE_USER": "InvalidateCacheUser",
        "INVALIDATION": stack.parameters["Invalidation"],
    }


def test_migrate_is_the_owner_and_no_user_of_the_cache(stack: Stack) -> None:
    own = {"DATABASE_USER": stack.parameters["DatabaseOwner"]}
    # It refuses a statement that needs tokens where callers send none.
    own |= {f"{each}_AUTHORIZATION": stack.parameters[f"{each.title()}Authorization"] for each in ("READ", "WRITE")}
    assert environment(stack, "Migrate") == everyones(stack, "Migrate") | own


def test_cache_users_are_named_by_their_ids(stack: Stack) -> None:
    users = stack.of_type("AWS::ElastiCache::User")
    for name in ("Query", "Command", "Invalidate"):
        assert environment(stack, name)["CACHE_USER"] in users


def test_runtime_layers_and_cpu(stack: Stack) -> None:
    architecture = stack.parameters["Architecture"]
    for name, function in stack.functions.items():
        dependencies, library, *extension = function["Layers"]
        wanted = stack.parameters["LambdaInsightsLayer"] and name != "MigrateFunction"
        assert extension == ([INSIGHTS] if wanted else [])
        assert dependencies.startswith("DependenciesLayer")
        assert library.startswith("CacheasideLayer")
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", [architecture])
    for layer in stack.of_type("AWS::Lambda::LayerVersion").values():
        assert layer["CompatibleArchitectures"] == [architecture]


def test_functions_live_in_the_functions_subnets(stack: Stack) -> None:
    ours = ["FunctionSubnetA", "FunctionSubnetB"]
    subnets = ours if "Vpc" in stack.resources else EXISTING_VPC["FunctionSubnetIds"].split(",")
    assert {str(function["VpcConfig"]["SubnetIds"]) for function in stack.functions.values()} == {str(subnets)}


def test_handlers(default: Stack) -> None:
    assert {f["Handler"] for f in default.functions.values()} == {f"{name.lower()}.app.handler" for name in NAMES}


def test_a_request_ends_before_the_api_gives_up(stack: Stack) -> None:
    timeouts = {name: function["Timeout"] for name, function in stack.functions.items()}
    assert timeouts["QueryFunction"] == timeouts["CommandFunction"] == 29
    longest = 60 + timeouts["MigrateFunction"]  # it may wait for a minute before it runs
    assert longest < stack.resources["Migrations"]["Properties"]["ServiceTimeout"] <= 3600
    # On its schedule it polls for a minute. Its requests are short and end by themselves.
    assert 60 < timeouts["InvalidateFunction"] <= 120


def test_every_log_is_kept_for_a_while_and_not_for_ever(stack: Stack) -> None:
    for name, function in stack.functions.items():
        assert function["LoggingConfig"] == {
            "LogFormat": "JSON",
            "ApplicationLogLevel": stack.parameters["LogLevel"],
            "LogGroup": name.replace("Function", "Logs"),
        }
        # A metric is printed without a level. Lambda counts that as INFO, and would drop it at a higher level.
        assert function["LoggingConfig"]["ApplicationLogLevel"] in {"DEBUG", "INFO"}
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert [group["RetentionInDays"] for group in groups.values()] == [stack.parameters["LogDays"]] * len(groups)


def test_a_key_encrypts_what_is_written_about_requests(stack: Stack) -> None:
    key = stack.parameters["KmsKeyArn"] or None
    assert {function.get("KmsKeyArn") for function in stack.functions.values()} == {key}
    assert {group.get("KmsKeyId") for group in stack.of_type("AWS::Logs::LogGroup").values()} == {key}
    assert stack.of_type("AWS::SNS::Topic")["Alarms"].get("KmsMasterKeyId") == key


def test_functions_are_traced_if_chosen(stack: Stack) -> None:
    mode = "Active" if stack.parameters["Tracing"] == "xray" else "PassThrough"
    assert {function["TracingConfig"]["Mode"] for function in stack.functions.values()} == {mode}


def test_traffic_moves_as_chosen_and_an_alarm_rolls_back(stack: Stack) -> None:
    alarms = {p["AlarmName"]: name for name, p in stack.of_type("AWS::CloudWatch::Alarm").items()}
    groups = stack.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {"QueryFunctionDeploymentGroup", "CommandFunctionDeploymentGroup"}
    for name, group in groups.items():
        assert group["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{stack.parameters['Deployment']}"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        named = [alarm["Name"] for alarm in group["AlarmConfiguration"].get("Alarms", ())]
        own = name.replace("FunctionDeploymentGroup", "ErrorsAlarm")
        # With AllAtOnce, an alarm that is already on would stop the deployment that may fix its cause.
        watched = [] if stack.parameters["Deployment"] == "AllAtOnce" else [own, "ApiErrorsAlarm"]
        assert [alarms.get(alarm, alarm) for alarm in named] == watched
        alias = stack.resources[name.replace("DeploymentGroup", "Aliaslive")]
        assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"] == name


def test_snapshots_are_of_published_versions_of_the_query_function(stack: Stack) -> None:
    for name, function in stack.functions.items():
        on = name == "QueryFunction" and stack.parameters["SnapStart"] == "on"
        assert function.get("SnapStart", {}).get("ApplyOn", "None") == ("PublishedVersions" if on else "None")


def test_concurrency_is_reserved_as_chosen(stack: Stack) -> None:
    for name in ("Query", "Command", "Invalidate"):
        chosen = stack.parameters[f"{name}Concurrency"]
        assert stack.functions[f"{name}Function"].get("ReservedConcurrentExecutions", "0") == chosen


def test_migrations_wait_for_their_network_path(stack: Stack) -> None:
    ours = {"Database", "FunctionSubnetARoutes", "FunctionSubnetBRoutes", "S3Endpoint"}
    assert stack.needs("Migrations") >= {
        *(ours & stack.resources.keys()),
        "DatabaseFromMigrate",
        "MigrateFunction",
        "MigrateLogs",
        "MigrateRole",
        "MigrateSecurityGroup",
        "NetworkInterfacePolicy",
    }


def test_migrations_run_again_when_the_code_changes(default: Stack) -> None:
    changed = Stack(TEMPLATE.read_text().replace("CodeUri: functions/", "CodeUri: functions-changed/"))
    version, other = (s.resources["Migrations"]["Properties"]["CodeVersion"] for s in (default, changed))
    assert version != other
    assert default.resources[version]["Type"] == "AWS::Lambda::Version"


def test_new_code_goes_live_after_its_migrations(stack: Stack) -> None:
    for name in ("QueryFunction", "CommandFunction", "InvalidateFunction"):
        assert "Migrations" in stack.needs(name)


def test_lambda_and_scheduler_neither_retry_nor_keep_what_they_cannot_run(default: Stack) -> None:
    dropped = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    configs = {
        c["FunctionName"]: c | {"DestinationConfig": {}}
        for c in default.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    assert configs == {
        name: {"FunctionName": name, "Qualifier": "$LATEST", "DestinationConfig": {}, **dropped}
        for name in ("MigrateFunction", "InvalidateFunction")
    }
    assert "MigrateInvocations" in default.needs("Migrations")
    (schedule,) = default.of_type("AWS::Scheduler::Schedule").values()
    assert (schedule["Name"], schedule["ScheduleExpression"]) == ("shop-sweep", "rate(1 minute)")
    assert schedule["Target"]["RetryPolicy"] == dropped


@pytest.mark.parametrize("size", ["0", "500"])
def test_size_of_the_sample_reaches_the_migration(size: str) -> None:
    migrations = stack_of(SampleSize=size).resources["Migrations"]["Properties"]
    assert migrations["SampleSize"] == size


def test_migration_is_told_whether_the_database_is_somebodys_own(stack: Stack) -> None:
    assert stack.resources["Migrations"]["Properties"]["DatabaseSource"] == stack.parameters["DatabaseSource"]
