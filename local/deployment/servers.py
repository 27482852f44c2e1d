"""Servers of a stack that MiniStack starts when it is called, but not from a template; and what its caches need."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from local.containers import engine
from local.deployment.ministack import Emulator
from local.errors import LocalError

__all__ = ["complete_caches", "create_servers", "delete_servers"]

_PASSWORD: Final = "to-ask-whether-it-is-ready"  # noqa: S105  # MiniStack demands one; functions have tokens
_CLI: Final = ("redis-cli", "-p", "7000")
_STARTED_S: Final = 300.0
_ATTEMPTS: Final = 300
_PAUSE_S: Final = 0.2
_REPLICA: Final = ("--daemonize", "yes", "--save", "", "--replicaof", "127.0.0.1", "7000")


def create_servers(emulator: Emulator, name: str, choices: Mapping[str, str]) -> Mapping[str, str]:
    """Start those that the stack `name` with these parameters needs and that do not run yet.

    Returns their addresses, by the names in `lacks`. Raises `LocalError` if one does not start.
    """
    addresses: dict[str, str] = {}
    if choices.get("DatabaseSource", "new") != "existing":
        endpoint = _database(emulator, name, choices)["Endpoint"]
        addresses |= {"database": endpoint["Address"], "database_port": str(endpoint["Port"])}
    if choices.get("CacheType") == "serverless":
        addresses["serverless_cache"] = _serverless(emulator, name, choices)["Endpoint"]["Address"]
    return addresses


def delete_servers(emulator: Emulator, name: str) -> None:
    """Delete those of `create_servers`."""
    rds, elasticache = emulator.client("rds"), emulator.client("elasticache")
    if _found(rds.describe_db_instances()["DBInstances"], DBInstanceIdentifier=_server(name)):
        rds.delete_db_instance(DBInstanceIdentifier=_server(name), SkipFinalSnapshot=True)
    if _found(elasticache.describe_serverless_caches()["ServerlessCaches"], ServerlessCacheName=name):
        elasticache.delete_serverless_cache(ServerlessCacheName=name)


def complete_caches(emulator: Emulator) -> None:
    """Tell all caches of the emulator all users of ElastiCache, and give a primary that has no replica its replicas."""
    client = emulator.client("elasticache")
    answers = partial(_answers, emulator)
    for container in filter(answers, engine.containers(emulator.label, "ministack=elasticache")):
        for user in client.describe_users()["Users"]:
            if user["UserId"] == user["UserName"]:  # those with IAM authentication
                engine.run_in(
                    container, *_CLI, "ACL", "SETUSER", user["UserName"], "nopass", *user["AccessString"].split()
                )
    for group in client.describe_replication_groups()["ReplicationGroups"]:
        for container in filter(answers, engine.containers(emulator.label, f"rg_id={group['ReplicationGroupId']}")):
            if "connected_slaves:0" in engine.run_in(container, *_CLI, "INFO", "replication"):
                for port in range(7001, 7000 + len(group["NodeGroups"][0]["NodeGroupMembers"])):
                    engine.run_in(container, "valkey-server", "--port", str(port), *_REPLICA)


def _answers(emulator: Emulator, container: str) -> bool:
    """Wait until the cache in the container answers. Returns False for one of a stack that is being deleted."""
    for _ in range(_ATTEMPTS):
        try:
            if engine.run_in(container, *_CLI, "PING").strip() == "PONG":
                return True
        except subprocess.CalledProcessError:
            if not engine.runs_or_will(container):
                return False
        time.sleep(_PAUSE_S)
    raise LocalError(f"the cache in the container {container} does not answer: see {emulator.log}")


def _database(emulator: Emulator, name: str, choices: Mapping[str, str]) -> Any:
    rds = emulator.client("rds")
    if not _found(rds.describe_db_instances()["DBInstances"], DBInstanceIdentifier=_server(name)):
        rds.create_db_instance(
            DBInstanceIdentifier=_server(name),
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            EngineVersion=choices.get("DatabaseVersion", "18"),
            AllocatedStorage=20,
            DBName=choices.get("DatabaseName", "cacheaside"),
            MasterUsername=choices.get("DatabaseOwner", "cacheaside_owner"),
            MasterUserPassword=_PASSWORD,
        )
    describe = partial(rds.describe_db_instances, DBInstanceIdentifier=_server(name))
    return _available(emulator, lambda: describe()["DBInstances"], "DBInstanceStatus")


def _serverless(emulator: Emulator, name: str, choices: Mapping[str, str]) -> Any:
    client = emulator.client("elasticache")
    if not _found(client.describe_serverless_caches()["ServerlessCaches"], ServerlessCacheName=name):
        client.create_serverless_cache(ServerlessCacheName=name, Engine=choices.get("CacheEngine", "valkey"))
    describe = partial(client.describe_serverless_caches, ServerlessCacheName=name)
    return _available(emulator, lambda: describe()["ServerlessCaches"], "Status")


def _server(name: str) -> str:
    return f"{name}-server"


def _found(listed: list[Any], **names: str) -> bool:
    return any(names.items() <= each.items() for each in listed)


def _available(emulator: Emulator, describe: Callable[[], list[Any]], status: str) -> Any:
    deadline = time.monotonic() + _STARTED_S
    while (server := describe()[0])[status] == "creating" and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    if server[status] != "available":
        raise LocalError(f"the emulator did not start a server, whose state is {server[status]}: see {emulator.log}")
    return server
