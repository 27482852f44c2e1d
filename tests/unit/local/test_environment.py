"""The environment variables of the functions: which role each signs in as, and at which address."""

import pytest

from cacheaside.settings import ApiSettings, Authorization
from local.environment import ROLES, function_environment

EMBEDDED = "postgresql://postgres@127.0.0.1:5433/cacheaside"
GIVEN = "postgresql://ann:s%40crt@db.example:5432/shop?sslmode=require"
CACHE = "redis://127.0.0.1:6380"


def test_in_the_embedded_database_each_function_has_its_own_role() -> None:
    variables = function_environment(EMBEDDED, CACHE, embedded=True)
    assert {given["DATABASE_URL"] for given in variables.values()} == {EMBEDDED}
    assert {name: given["DATABASE_USER"] for name, given in variables.items()} == {
        "QueryFunction": "cacheaside_query",
        "CommandFunction": "cacheaside_command",
        "InvalidateFunction": "cacheaside_invalidate",
        "MigrateFunction": "postgres",
    }


def test_in_a_given_database_the_user_of_the_url_signs_in() -> None:
    variables = function_environment(GIVEN, CACHE, embedded=False)
    assert {given["DATABASE_URL"] for given in variables.values()} == {GIVEN}
    assert {given["DATABASE_USER"] for given in variables.values()} == {""}
    assert variables.keys() == ROLES.keys()


def test_in_a_given_database_each_function_acts_as_its_role() -> None:
    options = {
        "cacheaside_query": "-c role=cacheaside_query -c search_path=a\\ b",
        "cacheaside_invalidate": "-c role=x",
    }
    variables = function_environment(GIVEN + "&options=-c%20a%3Db", CACHE, embedded=False, options=options)
    acting = "postgresql://ann:s%40crt@db.example:5432/shop?options=-c%20a%3Db%20-c%20role%3D{}&sslmode=require"
    assert variables["QueryFunction"]["DATABASE_URL"] == acting.format("cacheaside_query%20-c%20search_path%3Da%5C%20b")
    assert variables["InvalidateFunction"]["DATABASE_URL"] == acting.format("x")
    assert variables["InvalidateFunction"]["READ_DATABASE_URL"] == variables["QueryFunction"]["DATABASE_URL"]
    assert variables["MigrateFunction"]["DATABASE_URL"] == GIVEN + "&options=-c%20a%3Db"


def test_no_function_signs_tokens_or_has_the_cache_user_of_the_template() -> None:
    variables = function_environment(EMBEDDED, CACHE, embedded=True)
    assert {given["AUTHENTICATION"] for given in variables.values()} == {"url"}
    assert {given["CACHE_URL"] for given in variables.values()} == {CACHE}
    assert {given.get("CACHE_USER", "") for given in variables.values()} == {""}


def test_verifier_reads_the_database_with_the_role_of_the_query_function() -> None:
    for url, embedded in ((EMBEDDED, True), (GIVEN, False)):
        variables = function_environment(url, CACHE, embedded=embedded)
        assert variables["InvalidateFunction"]["READ_DATABASE_USER"] == variables["QueryFunction"]["DATABASE_USER"]


def test_everything_is_open_and_developer_mode_is_on() -> None:
    for host in (None, "engine"):
        variables = function_environment(GIVEN, CACHE, embedded=False, host=host)["QueryFunction"]
        expected = ApiSettings(reads=Authorization.OPEN, writes=Authorization.OPEN, developer_mode=True)
        assert ApiSettings.from_environment(variables) == expected


def test_sweep_does_not_poll_in_a_container() -> None:
    here, inside = (function_environment(EMBEDDED, CACHE, embedded=True, host=host) for host in (None, "engine"))
    assert "INVALIDATION" not in here["InvalidateFunction"]
    assert inside["InvalidateFunction"]["INVALIDATION"] == "schedule"


@pytest.mark.parametrize(
    ("database_url", "cache_url", "database", "cache"),
    [
        (EMBEDDED, CACHE, "postgresql://postgres@engine:5433/cacheaside", "redis://engine:6380"),
        ("postgresql://localhost/shop", "redis://[::1]:6380/1", "postgresql://engine/shop", "redis://engine:6380/1"),
        (GIVEN, "rediss://user:pw@cache.example:6379", GIVEN, "rediss://user:pw@cache.example:6379"),
    ],
)
def test_in_a_container_only_loopback_addresses_are_replaced(
    database_url: str, cache_url: str, database: str, cache: str
) -> None:
    variables = function_environment(database_url, cache_url, embedded=False, host="engine")["QueryFunction"]
    assert (variables["DATABASE_URL"], variables["CACHE_URL"]) == (database, cache)
