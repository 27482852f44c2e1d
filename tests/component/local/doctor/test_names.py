"""Names that a deleted stack, or something else, has left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.doctor.account import Account
from local.doctor.checks.names import names
from tests.component.local.doctor.support import DEPLOYED, answer, deployment, lines, refuse

# Operations that moto does not have, and their answers where there is no such resource.
ABSENT = {
    ("elasticache", "describe_user_groups"): "UserGroupNotFound",
    ("elasticache", "describe_serverless_caches"): "ServerlessCacheNotFoundFault",
}


@pytest.fixture(autouse=True)
def _none(aws: Account) -> None:
    for (service, operation), code in ABSENT.items():
        refuse(aws, service, operation, code)


def test_no_name_is_taken_in_an_empty_account(aws: Account) -> None:
    of = deployment(CacheType="serverless", RdsProxy="on")
    assert lines(names(of, aws)) == ["✓ no log group, alarm, cache user or other name is taken"]


def test_an_update_does_not_look_for_names(aws: Account) -> None:
    aws.client("logs").create_log_group(logGroupName="/shop/query")
    assert lines(names(deployment(status=DEPLOYED), aws)) == []


def log_group(aws: Account) -> None:
    for name in ("/shop/query", "/shop/other", "/shop-2/query"):
        aws.client("logs").create_log_group(logGroupName=name)


def api_log_group(aws: Account) -> None:
    aws.client("logs").create_log_group(logGroupName="/aws/vendedlogs/shop/api")


def alarm(aws: Account) -> None:
    for name in ("shop-api-errors", "shop-2-api-errors", "shop-mine"):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, MetricName="m"
        )


def schedule(aws: Account) -> None:
    target = {"Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f", "RoleArn": "arn:aws:iam::1:role/r"}
    aws.client("scheduler").create_schedule(
        Name="shop-sweep",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )


def cache_user(aws: Account) -> None:
    aws.client("elasticache").create_user(
        UserId="shop-query", UserName="shop-query", Engine="valkey", AccessString="on", NoPasswordRequired=True
    )


def user_group(aws: Account) -> None:
    answer(aws, "elasticache", "describe_user_groups", {"UserGroups": [{"UserGroupId": "shop"}]})


def serverless_cache(aws: Account) -> None:
    answer(aws, "elasticache", "describe_serverless_caches", {"ServerlessCaches": [{"ServerlessCacheName": "shop"}]})


def proxy(aws: Account) -> None:
    answer(aws, "rds", "describe_db_proxies", {"DBProxies": [{"DBProxyName": "shop"}]})


@pytest.mark.parametrize(
    ("leave", "taken"),
    [
        (log_group, "log group /shop/query"),
        (api_log_group, "log group /aws/vendedlogs/shop/api"),
        (alarm, "alarm shop-api-errors"),
        (schedule, "schedule shop-sweep"),
        (cache_user, "cache user shop-query"),
        (user_group, "cache user group shop"),
        (serverless_cache, "serverless cache shop"),
        (proxy, "RDS Proxy shop"),
    ],
)
def test_a_name_that_is_taken_is_a_problem(aws: Account, leave: Any, taken: str) -> None:
    leave(aws)
    of = deployment(CacheType="serverless", RdsProxy="on")
    assert lines(names(of, aws)) == [f"✗ taken already: {taken}. Delete them, or choose another stack_name"]


def test_a_missing_permission_hides_one_kind_of_names_only(aws: Account) -> None:
    refuse(aws, "scheduler", "get_schedule", "AccessDeniedException")
    log_group(aws)
    found: Iterator[str] = iter(lines(names(deployment(), aws)))
    assert next(found) == "? schedule: not checked: it needs the permission scheduler:GetSchedule"
    assert next(found).startswith("✗ taken already: log group /shop/query.")
