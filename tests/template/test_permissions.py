"""Every IAM statement names its actions and its resource. Each function may do what it needs and nothing else."""

from __future__ import annotations

import pytest

from tests.template.support.choices import EXISTING_CACHE, EXISTING_DATABASE, EXISTING_VPC
from tests.template.support.permissions import listed, statements
from tests.template.support.stack import Stack, stack_of

# These actions support no resource: IAM accepts only "*".
NO_RESOURCE = {
    *("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    *("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
}
# Interfaces have no names before they exist. AWS documents account and region as the narrowest resource that works.
ANY_OF_THE_ACCOUNT = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
}
ACCOUNT = "eu-west-1:111122223333"
USERS = f"arn:aws:rds-db:{ACCOUNT}:dbuser"
# The service that may assume each role. SAM creates that of the scheduler, without naming the account.
TRUSTED = {
    "QueryRole": "lambda.amazonaws.com",
    "CommandRole": "lambda.amazonaws.com",
    "InvalidateRole": "lambda.amazonaws.com",
    "MigrateRole": "lambda.amazonaws.com",
    "FlowLogRole": "vpc-flow-logs.amazonaws.com",
    "DatabaseMonitoringRole": "monitoring.rds.amazonaws.com",
    "ProxyRole": "rds.amazonaws.com",
    "DeploymentRole": "codedeploy.amazonaws.com",
    "InvalidateFunctionSweepRole": "scheduler.amazonaws.com",
}
FOR_THIS_ACCOUNT_ONLY = {"FlowLogRole", "DatabaseMonitoringRole", "ProxyRole"}
# Policies that AWS writes, and can extend. These two are for one service each. No other may be attached.
WRITTEN_BY_AWS = {
    "DatabaseMonitoringRole": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
    "DeploymentRole": "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda",
}


def granted(stack: Stack, role: str) -> dict[str, list[str]]:
    """Return action -> resources of the role's own policy."""
    (policy,) = stack.of_type("AWS::IAM::Role")[role]["Policies"]
    found: dict[str, list[str]] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        for action in listed(statement["Action"]):
            found.setdefault(action, []).extend(listed(statement["Resource"]))
    return found


def database_id(stack: Stack) -> str:
    ids = {"new": "Database.DbiResourceId", "aurora": "AuroraCluster.DBClusterResourceId", "existing": "db-EXISTING"}
    return ids[stack.parameters["DatabaseSource"]]


def test_every_statement_names_its_resource(stack: Stack) -> None:
    for statement in statements(stack):
        if statement["Effect"] == "Deny":
            continue
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys()
        actions = set(listed(statement["Action"]))
        assert not [action for action in actions if "*" in action]
        for resource in listed(statement["Resource"]):
            if resource == "*":
                assert actions <= NO_RESOURCE
            elif resource.endswith(":log-group:/aws/lambda-insights:*"):  # its streams
                assert actions <= {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}
            elif "*" in resource:
                assert actions <= ANY_OF_THE_ACCOUNT
                assert resource == f"arn:aws:ec2:{ACCOUNT}:*/*"


def test_query_and_command_sign_in_as_themselves_through_the_proxy_too_if_there_is_one(stack: Stack) -> None:
    servers = [database_id(stack), *(["prx-DatabaseProxy"] if "DatabaseProxy" in stack.resources else [])]
    for name in ("Query", "Command"):
        assert granted(stack, f"{name}Role") == {
            "logs:CreateLogStream": [f"{name}Logs.Arn"],
            "logs:PutLogEvents": [f"{name}Logs.Arn"],
            "rds-db:connect": [f"{USERS}:{server}/cacheaside_{name.lower()}" for server in servers],
            "elasticache:Connect": [f"{name}CacheUser.Arn"],
        }


def test_invalidate_signs_in_to_the_database_itself_as_itself_and_as_a_reader(stack: Stack) -> None:
    users = [f"{USERS}:{database_id(stack)}/cacheaside_{role}" for role in ("invalidate", "query")]
    assert granted(stack, "InvalidateRole") == {
        "logs:CreateLogStream": ["InvalidateLogs.Arn"],
        "logs:PutLogEvents": ["InvalidateLogs.Arn"],
        "rds-db:connect": users,
        "elasticache:Connect": ["InvalidateCacheUser.Arn"],
    }


def test_only_the_migrate_function_may_be_the_owner_and_it_has_no_cache(stack: Stack) -> None:
    owner = stack.parameters["DatabaseOwner"]
    assert granted(stack, "MigrateRole") == {
        "logs:CreateLogStream": ["MigrateLogs.Arn"],
        "logs:PutLogEvents": ["MigrateLogs.Arn"],
        "rds-db:connect": [f"{USERS}:{database_id(stack)}/{owner}"],
    }
    everywhere = [resource for statement in statements(stack) for resource in listed(statement["Resource"])]
    assert [resource for resource in everywhere if resource.endswith(f"/{owner}")] == [
        f"{USERS}:{database_id(stack)}/{owner}"
    ]


def test_the_proxy_signs_in_as_query_and_command_only(stack: Stack) -> None:
    if "DatabaseProxy" in stack.resources:
        users = [f"{USERS}:{database_id(stack)}/cacheaside_{role}" for role in ("query", "command")]
        assert granted(stack, "ProxyRole") == {"rds-db:connect": users}


@pytest.mark.parametrize(
    ("choice", "cache"),
    [
        ({}, f"arn:aws:elasticache:{ACCOUNT}:replicationgroup:Cache"),
        ({"CacheType": "cluster"}, f"arn:aws:elasticache:{ACCOUNT}:replicationgroup:CacheCluster"),
        ({"CacheType": "serverless"}, f"arn:aws:elasticache:{ACCOUNT}:serverlesscache:CacheServerless"),
        ({"CacheType": "existing"}, f"arn:aws:elasticache:{ACCOUNT}:replicationgroup:theirs"),
        ({"CacheType": "existing", "CacheMode": "cluster"}, f"arn:aws:elasticache:{ACCOUNT}:replicationgroup:theirs"),
        ({"CacheType": "existing", "CacheMode": "serverless"}, f"arn:aws:elasticache:{ACCOUNT}:serverlesscache:theirs"),
    ],
)
def test_functions_connect_to_this_cache_only(choice: dict[str, str], cache: str) -> None:
    existing = EXISTING_CACHE | EXISTING_VPC if choice.get("CacheType") == "existing" else {}
    (statement,) = stack_of(**existing | choice).of_type("AWS::IAM::ManagedPolicy")["CachePolicy"]["PolicyDocument"][
        "Statement"
    ]
    assert statement == {"Effect": "Allow", "Action": "elasticache:Connect", "Resource": cache}


def test_an_existing_cluster_of_aurora_is_named_by_its_own_id() -> None:
    cluster = EXISTING_DATABASE | {"DatabaseResourceId": "cluster-ABC"}
    stack = stack_of(**EXISTING_VPC | cluster, DatabaseSource="existing")
    assert granted(stack, "QueryRole")["rds-db:connect"] == [f"{USERS}:cluster-ABC/cacheaside_query"]


def test_services_that_write_logs_may_write_theirs_only(stack: Stack) -> None:
    if "FlowLogRole" in stack.resources:
        actions = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
        assert granted(stack, "FlowLogRole") == {action: ["FlowLogs.Arn"] for action in actions}


def test_the_scheduler_may_invoke_the_invalidate_function_and_nothing_else(stack: Stack) -> None:
    assert granted(stack, "InvalidateFunctionSweepRole") == {"lambda:InvokeFunction": ["InvalidateFunction.Arn"]}
    (schedule,) = stack.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["Target"]["RoleArn"] == "InvalidateFunctionSweepRole.Arn"


def test_each_function_has_the_role_of_its_name(stack: Stack) -> None:
    for name, function in stack.functions.items():
        assert function["Role"] == name.replace("Function", "Role.Arn")


def test_each_role_is_for_one_service_and_has_no_policy_that_aws_may_widen(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role")
    assert roles.keys() <= TRUSTED.keys()
    for name, role in roles.items():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert (trust["Effect"], listed(trust["Principal"]["Service"])) == ("Allow", [TRUSTED[name]])
        if name in FOR_THIS_ACCOUNT_ONLY:
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
        attached = {"NetworkInterfacePolicy", "CachePolicy", "TracingPolicy", "InsightsPolicy"}
        if name in WRITTEN_BY_AWS:
            attached = {WRITTEN_BY_AWS[name]}
        assert set(role.get("ManagedPolicyArns", [])) <= attached


def test_migrate_is_not_given_the_cache(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role")
    tracing = ["TracingPolicy"] if stack.parameters["Tracing"] == "xray" else []
    insights = ["InsightsPolicy"] if stack.parameters["LambdaInsightsLayer"] else []
    assert roles["MigrateRole"]["ManagedPolicyArns"] == ["NetworkInterfacePolicy", *tracing]
    for name in ("Query", "Command", "Invalidate"):
        policies = ["NetworkInterfacePolicy", "CachePolicy", *tracing, *insights]
        assert roles[f"{name}Role"]["ManagedPolicyArns"] == policies


def test_a_boundary_bounds_every_role(stack: Stack) -> None:
    boundary = stack.parameters["PermissionsBoundaryArn"] or None
    assert {role.get("PermissionsBoundary") for role in stack.of_type("AWS::IAM::Role").values()} == {boundary}


def test_code_in_a_function_cannot_use_the_permissions_on_network_interfaces(default: Stack) -> None:
    *_, deny = default.of_type("AWS::IAM::ManagedPolicy")["NetworkInterfacePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == ("Deny", "ec2:*", "*")
    assert deny["Condition"] == {"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:*"}}


def test_only_alarms_of_this_account_are_published_and_only_over_tls(stack: Stack) -> None:
    (policy,) = stack.of_type("AWS::SNS::TopicPolicy").values()
    allow, deny = policy["PolicyDocument"]["Statement"]
    assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert {allow["Resource"], deny["Resource"], *policy["Topics"]} == {"Alarms"}
