"""The names that a first deployment creates, and that something else may have: a deleted stack's remains."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from local.doctor.account import Account, Missing
from local.doctor.deployment import Deployment
from local.doctor.finding import Finding, NotChecked, fine, unknown, wrong

__all__ = ["names"]

Taken = Callable[[Deployment, Account], list[str]]


def names(deployment: Deployment, aws: Account) -> Iterator[Finding]:
    if deployment.stack is not None:
        return
    taken: list[str] = []
    for kind, find in _KINDS.items():
        try:
            taken += [f"{kind} {name}" for name in find(deployment, aws)]
        except NotChecked as reason:
            yield unknown(f"{kind}: {reason}")
    if taken:
        yield wrong(f"taken already: {', '.join(taken)}. Delete them, or choose another stack_name")
    else:
        yield fine("no log group, alarm, cache user or other name is taken")


def _log_groups(deployment: Deployment, aws: Account) -> list[str]:
    wanted = set(deployment.plan.values("AWS::Logs::LogGroup", "LogGroupName"))
    found = []
    for prefix in sorted({name.rpartition("/")[0] + "/" for name in wanted}):
        found += aws.ask_all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
    return sorted(wanted & {each["logGroupName"] for each in found})


def _alarms(deployment: Deployment, aws: Account) -> list[str]:
    wanted = set(deployment.plan.values("AWS::CloudWatch::Alarm", "AlarmName"))
    prefix = f"{deployment.configuration.stack}-"
    found = aws.ask_all("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    return sorted(wanted & {each["AlarmName"] for each in found})


def _cache_users(deployment: Deployment, aws: Account) -> list[str]:
    wanted = deployment.plan.values("AWS::ElastiCache::User", "UserId")
    return _existing(aws, wanted, ("elasticache", "describe_users", "UserId"))


def _cache_user_groups(deployment: Deployment, aws: Account) -> list[str]:
    wanted = deployment.plan.values("AWS::ElastiCache::UserGroup", "UserGroupId")
    return _existing(aws, wanted, ("elasticache", "describe_user_groups", "UserGroupId"))


def _serverless_caches(deployment: Deployment, aws: Account) -> list[str]:
    wanted = deployment.plan.values("AWS::ElastiCache::ServerlessCache", "ServerlessCacheName")
    question = ("elasticache", "describe_serverless_caches", "ServerlessCacheName")
    return _existing(aws, wanted, question)


def _proxies(deployment: Deployment, aws: Account) -> list[str]:
    wanted = deployment.plan.values("AWS::RDS::DBProxy", "DBProxyName")
    return _existing(aws, wanted, ("rds", "describe_db_proxies", "DBProxyName"))


def _schedules(deployment: Deployment, aws: Account) -> list[str]:
    events = [each.get("Events", {}) for each in deployment.plan.created("AWS::Serverless::Function").values()]
    schedules = [event for each in events for event in each.values() if event["Type"] == "ScheduleV2"]
    wanted = [deployment.plan.value(each["Properties"]["Name"]) for each in schedules]
    return _existing(aws, wanted, ("scheduler", "get_schedule", "Name"))


def _existing(aws: Account, wanted: list[str], question: tuple[str, str, str]) -> list[str]:
    """Return the names that exist. `question`: service, operation, and the argument that takes a name."""
    service, operation, argument = question
    found = []
    for name in wanted:
        try:
            aws.ask(service, operation, **{argument: name})
        except Missing:
            continue
        found.append(name)
    return found


_KINDS: dict[str, Taken] = {
    "log group": _log_groups,
    "alarm": _alarms,
    "cache user": _cache_users,
    "cache user group": _cache_user_groups,
    "serverless cache": _serverless_caches,
    "RDS Proxy": _proxies,
    "schedule": _schedules,
}
