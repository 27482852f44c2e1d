"""Every IAM statement names its actions and its resource; no function may do more than its job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.template.stack import Stack

# IAM knows no resource for these, so "*" is the only one that works.
NO_RESOURCE = {"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}
# Interfaces have no names before they exist; AWS documents account and region as the narrowest that works.
ANY_OF_THE_ACCOUNT = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:UnassignPrivateIpAddresses",
}
ACCOUNT = "eu-west-1:111122223333"
SCHEDULER = "InvalidateFunctionSweepRole"
CACHE = f"arn:aws:elasticache:{ACCOUNT}:replicationgroup:Cache"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(stack: Stack) -> Iterator[dict[str, Any]]:
    for policy in stack.of_type("AWS::IAM::ManagedPolicy").values():
        yield from policy["PolicyDocument"]["Statement"]
    for role in stack.of_type("AWS::IAM::Role").values():
        for policy in role["Policies"]:
            yield from policy["PolicyDocument"]["Statement"]


def granted(stack: Stack, role: str) -> dict[str, list[str]]:
    """Return action -> resources of the role's own policy."""
    (policy,) = stack.of_type("AWS::IAM::Role")[role]["Policies"]
    return {a: listed(s["Resource"]) for s in policy["PolicyDocument"]["Statement"] for a in listed(s["Action"])}


def test_every_statement_names_its_resource(stack: Stack) -> None:
    for statement in statements(stack):
        if statement["Effect"] == "Deny":
            continue
        actions = set(listed(statement["Action"]))
        assert not [action for action in actions if "*" in action]
        for resource in listed(statement["Resource"]):
            if resource == "*":
                assert actions <= NO_RESOURCE
            elif resource.endswith("*"):
                assert actions <= ANY_OF_THE_ACCOUNT
                assert resource == f"arn:aws:ec2:{ACCOUNT}:*/*"


def test_a_role_signs_in_as_itself_and_writes_its_own_log(stack: Stack) -> None:
    # The invalidate function also asks what the query function would answer now.
    users = {"Query": ["query"], "Command": ["command"], "Invalidate": ["invalidate", "query"]}
    for name, roles in users.items():
        assert granted(stack, f"{name}Role") == {
            "logs:CreateLogStream": [f"{name}Logs.Arn"],
            "logs:PutLogEvents": [f"{name}Logs.Arn"],
            "rds-db:connect": [
                f"arn:aws:rds-db:{ACCOUNT}:dbuser:Database.DbiResourceId/cacheaside_{role}" for role in roles
            ],
            "elasticache:Connect": [CACHE, f"{name}CacheUser.Arn"],
        }


def test_only_the_migrate_function_may_be_the_owner_and_it_has_no_cache(stack: Stack) -> None:
    assert granted(stack, "MigrateRole") == {
        "logs:CreateLogStream": ["MigrateLogs.Arn"],
        "logs:PutLogEvents": ["MigrateLogs.Arn"],
        "rds-db:connect": [f"arn:aws:rds-db:{ACCOUNT}:dbuser:Database.DbiResourceId/cacheaside_owner"],
    }


def test_each_function_has_the_role_of_its_name_and_no_policy_that_aws_may_widen(stack: Stack) -> None:
    for name, function in stack.functions.items():
        assert function["Role"] == name.replace("Function", "Role.Arn")
    roles = stack.of_type("AWS::IAM::Role")
    assert roles.keys() == {function["Role"].removesuffix(".Arn") for function in stack.functions.values()} | {
        SCHEDULER
    }
    for name in roles.keys() - {SCHEDULER}:
        assert roles[name]["ManagedPolicyArns"] == ["NetworkInterfacePolicy"]
        (trust,) = roles[name]["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_schedule_may_call_its_function_and_nothing_else(stack: Stack) -> None:
    """SAM makes this role."""
    role = stack.of_type("AWS::IAM::Role")[SCHEDULER]
    assert "ManagedPolicyArns" not in role
    assert granted(stack, SCHEDULER) == {"lambda:InvokeFunction": ["InvalidateFunction.Arn"]}
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": ["scheduler.amazonaws.com"]}


def test_code_in_a_function_cannot_use_the_permissions_on_network_interfaces(default: Stack) -> None:
    *_, deny = default.of_type("AWS::IAM::ManagedPolicy")["NetworkInterfacePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == ("Deny", "ec2:*", "*")
    assert deny["Condition"] == {"ArnLike": {"lambda:SourceFunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:*"}}
