"""What a deployment gives to the functions: their variables, their roles, and the users of the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from local.environment import function_environment
from local.template import _Loader
from tests.support.root import ROOT

__all__ = ["CACHE_NAME", "OWNER", "REGION", "access_strings", "credentials", "environment", "write_principals"]

REGION: Final = "eu-central-1"
CACHE_NAME: Final = "shop-cache"
OWNER: Final = "cacheaside_owner"
# The users as which the role of each function may sign in, as the policies of template.yaml say.
_USERS: Final[Mapping[str, tuple[str, ...]]] = {
    "QueryFunction": ("cacheaside_query", "shop-query"),
    "CommandFunction": ("cacheaside_command", "shop-command"),
    "InvalidateFunction": ("cacheaside_invalidate", "cacheaside_query", "shop-invalidate"),
    "MigrateFunction": (OWNER,),
}


def credentials(function: str) -> dict[str, str]:
    """Return the variables with the credentials of a role. Its session token is as long as one of AWS."""
    return {
        "AWS_ACCESS_KEY_ID": f"ASIA{function.upper()}",
        "AWS_SECRET_ACCESS_KEY": f"secret+of/{function}",
        "AWS_SESSION_TOKEN": f"{function}+/=" * 60,
    }


def write_principals(path: Path) -> Path:
    """Write the file that tells servers the roles. See server_images.sh."""
    principals = {}
    for function, users in _USERS.items():
        key, secret, token = credentials(function).values()
        principals[key] = {"secret": secret, "session_token": token, "users": users}
    key, secret, token = credentials("Everything").values()  # for functions that share a process
    principals[key] = {"secret": secret, "session_token": token, "users": ["*"]}
    path.write_text(json.dumps(principals))
    return path


def access_strings() -> dict[str, str]:
    """Return the access string of each user of the cache, as template.yaml has it."""
    resources = yaml.load((ROOT / "template.yaml").read_text(), _Loader)["Resources"]  # noqa: S506  # a SafeLoader
    users: dict[str, Any] = {
        f"shop-{name}": resources[f"{name.title()}CacheUser"]["Properties"]["AccessString"]
        for name in ("query", "command", "invalidate")
    }
    return users


def environment(database: str, cache: str, bundle: str, mode: str = "node") -> dict[str, dict[str, str]]:
    """Return the variables by function, then by name. `database` and `cache` are host:port.

    `bundle` is the file of the certificate authority, as the function sees it.
    """
    database_url = f"postgresql://{database}/shop?sslmode=verify-full&sslrootcert={bundle}"
    variables = function_environment(database_url, f"rediss://{cache}", embedded=True)
    for function, values in variables.items():
        name = function.removesuffix("Function").lower()
        values.update(
            {
                "AUTHENTICATION": "iam",
                "AWS_REGION": REGION,
                "CACHE_NAME": CACHE_NAME,
                "CACHE_USER": f"shop-{name}",
                "CACHE_MODE": mode,
                "SSL_CERT_FILE": bundle,
            }
        )
    variables["InvalidateFunction"]["INVALIDATION"] = "schedule"  # one event is one sweep
    variables["MigrateFunction"]["DATABASE_USER"] = OWNER
    return variables
