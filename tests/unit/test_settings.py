"""Settings: one error lists all problems of the environment, and repeats no password."""

from __future__ import annotations

import pytest

from cacheaside.errors import SettingsError
from cacheaside.settings import (
    ApiSettings,
    Authentication,
    Authorization,
    CacheMode,
    Callers,
    DatabaseSettings,
    InvalidateSettings,
    InvalidationMode,
    Settings,
)

GOOD = {
    "AUTHENTICATION": "iam",
    "AWS_REGION": "eu-central-1",
    "CACHE_NAME": "shop-cache",
    "CACHE_URL": "rediss://shop-query@cache.example:6379",
    "DATABASE_URL": "postgresql://cacheaside_query@db.example:5432/cacheaside?sslmode=verify-full",
}


def problems_with(**changes: str | None) -> list[str]:
    environment = {name: value for name, value in (GOOD | changes).items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environment)
    return str(caught.value).splitlines()[1:]


def test_complete_environment_is_read() -> None:
    settings = Settings.from_environment(GOOD)
    assert settings.database.authentication is Authentication.IAM
    assert (settings.cache.name, settings.cache.region) == ("shop-cache", "eu-central-1")


def test_every_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"AUTHENTICATION": "iam"})
    assert str(caught.value).splitlines() == [
        "the environment is not complete:",
        "DATABASE_URL is missing",
        "AWS_REGION is missing",
        "CACHE_URL is missing",
        "CACHE_NAME is missing",
    ]


def test_bad_value_is_reported_with_the_allowed_ones() -> None:
    assert problems_with(AUTHENTICATION="magic") == ["AUTHENTICATION must be iam or url, not 'magic'"]
    assert problems_with(CACHE_MODE="ring") == ["CACHE_MODE must be node or cluster or serverless, not 'ring'"]
    assert problems_with(TRACING="on") == ["TRACING must be off or xray, not 'on'"]
    assert problems_with(CACHE_URL="cache.example:6379") == ["CACHE_URL is not a URL such as rediss://user@host:port"]
    assert problems_with(DATABASE_URL="postgresql://u:hunter2@db:port") == [
        "DATABASE_URL is not a URL such as postgresql://user@host:port"
    ]


def test_cache_is_a_node_unless_declared_a_cluster() -> None:
    assert Settings.from_environment(GOOD).cache.mode is CacheMode.NODE
    assert Settings.from_environment(GOOD | {"CACHE_MODE": ""}).cache.mode is CacheMode.NODE
    assert Settings.from_environment(GOOD | {"CACHE_MODE": "cluster"}).cache.mode is CacheMode.CLUSTER
    assert Settings.from_environment(GOOD | {"CACHE_MODE": "serverless"}).cache.mode is CacheMode.SERVERLESS


def test_no_replica_must_confirm_unless_their_number_is_declared() -> None:
    assert Settings.from_environment(GOOD).cache.replicas == 0
    assert Settings.from_environment(GOOD | {"CACHE_REPLICAS": ""}).cache.replicas == 0
    assert Settings.from_environment(GOOD | {"CACHE_REPLICAS": "2"}).cache.replicas == 2
    for bad in ("one", "-1", "1.5", "²"):
        assert problems_with(CACHE_REPLICAS=bad) == [f"CACHE_REPLICAS must be a small number, not {bad!r}"]


def test_user_and_host_replace_those_in_the_url() -> None:
    overrides = {"DATABASE_USER": "cacheaside_command", "DATABASE_HOST": "proxy.example", "CACHE_USER": "shop-command"}
    for user in ("", "somebody:hunter2@"):
        urls = {
            "DATABASE_URL": f"postgresql://{user}db.example:5433/shop?sslmode=verify-full",
            "CACHE_URL": f"rediss://{user}cache.example:6379",
        }
        settings = Settings.from_environment(GOOD | urls | overrides)
        assert settings.database.url == "postgresql://cacheaside_command@proxy.example:5433/shop?sslmode=verify-full"
        assert settings.cache.url == "rediss://shop-command@cache.example:6379"


def test_empty_user_and_host_leave_the_url_as_it_is() -> None:
    settings = Settings.from_environment(GOOD | {"DATABASE_USER": "", "DATABASE_HOST": "", "CACHE_USER": ""})
    assert (settings.database.url, settings.cache.url) == (GOOD["DATABASE_URL"], GOOD["CACHE_URL"])


def test_invalidate_has_two_database_users_and_a_mode() -> None:
    more = {"DATABASE_USER": "cacheaside_invalidate", "READ_DATABASE_USER": "reader", "INVALIDATION": "poll"}
    settings = InvalidateSettings.from_environment(GOOD | more)
    assert settings.database.url.startswith("postgresql://cacheaside_invalidate@db.example:5432/")
    assert settings.queries.url.startswith("postgresql://reader@db.example:5432/")
    assert settings.mode is InvalidationMode.POLL
    own = InvalidateSettings.from_environment(GOOD | more | {"READ_DATABASE_URL": "postgresql://local.example/shop"})
    assert own.queries.url == "postgresql://reader@local.example/shop"
    assert own.database.url == settings.database.url
    with pytest.raises(SettingsError) as caught:
        InvalidateSettings.from_environment(GOOD | {"INVALIDATION": "sometimes"})
    assert str(caught.value).splitlines()[1:] == ["INVALIDATION must be schedule or poll, not 'sometimes'"]


def test_former_name_of_the_mode_is_understood_because_deployed_stacks_set_it() -> None:
    assert InvalidateSettings.from_environment(GOOD | {"INVALIDATION": "listen"}).mode is InvalidationMode.POLL


def test_without_iam_neither_region_nor_name_is_needed() -> None:
    url = {name: value for name, value in GOOD.items() if name not in ("AWS_REGION", "CACHE_NAME")}
    assert Settings.from_environment(url | {"AUTHENTICATION": "url"}).cache.name == ""


def test_migrate_needs_no_cache() -> None:
    environment = {name: value for name, value in GOOD.items() if not name.startswith("CACHE")}
    assert DatabaseSettings.from_environment(environment).region == "eu-central-1"


def test_documents_tell_each_authorization_by_its_own_variable() -> None:
    own = {"READ_AUTHORIZATION": "iam", "WRITE_AUTHORIZATION": "jwt", "HEALTH_AUTHORIZATION": "iam"}
    api = ApiSettings.from_environment(GOOD | own)
    assert (api.reads, api.writes, api.health) == (Authorization.IAM, Authorization.JWT, Authorization.IAM)
    assert ApiSettings.from_environment(GOOD | own | {"HEALTH_AUTHORIZATION": "open"}).health is Authorization.OPEN


def test_callers_that_no_variable_names_are_not_known() -> None:
    assert Callers.from_environment({"READ_AUTHORIZATION": ""}) == Callers(None, None)
    assert Callers.from_environment({"READ_AUTHORIZATION": "jwt"}) == Callers(Authorization.JWT, None)
    with pytest.raises(SettingsError, match="WRITE_AUTHORIZATION must be open or iam or jwt, not 'token'"):
        Callers.from_environment({"WRITE_AUTHORIZATION": "token"})
