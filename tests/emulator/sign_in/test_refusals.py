"""Sign-ins that the servers refuse, or that the functions refuse because of the server. Each has one thing wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from cacheaside.drivers import iam
from cacheaside.drivers.cache import options
from cacheaside.drivers.postgres import connection
from tests.component.support.api import Api
from tests.emulator.sign_in.conftest import Servers
from tests.emulator.sign_in.deployed import CACHE_NAME, REGION, credentials
from tests.support.authority import Authority
from tests.support.problem_document import check_problem
from tests.support.wait_until import wait_until

PRODUCT: Final = "/queries/product?id=42"
SECRETS: Final = ("ASIA", "X-Amz", "localhost", "127.0.0.1", "cacheaside_", "shop", "PAM", "certificate")


def earlier() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=16)


def database_token(*, user: str = "", host: str = "", **options: Any) -> Callable[..., str]:
    def sign(keys: iam.Credentials, region: str, own_host: str, port: int, own_user: str) -> str:
        return iam.database_token(keys, region, host or own_host, port, user or own_user, **options)

    return sign


def cache_token(*, user: str = "", name: str = "", **fixed: Any) -> Callable[..., str]:
    def sign(keys: iam.Credentials, region: str, own_name: str, own_user: str, *, serverless: bool) -> str:
        return iam.cache_token(keys, region, name or own_name, user or own_user, **{"serverless": serverless} | fixed)

    return sign


# What PostgreSQL's own log says.
DATABASE_TOKENS: Final = {
    "another-user": (database_token(user="cacheaside_invalidate"), "the token is for another user"),
    "expired": (database_token(now=earlier), "the token was valid for 0:15:00"),
    "another-host": (database_token(host="other.example"), "the token is for other.example:"),
    "of-a-cache": (lambda keys, *_: iam.cache_token(keys, REGION, CACHE_NAME, "shop-query"), "the signature is not"),
}
CACHE_TOKENS: Final = {
    "another-user": (cache_token(user="shop-invalidate"), "the token is for another user"),
    "expired": (cache_token(now=earlier), "the token was valid for 0:15:00"),
    "another-cache": (cache_token(name="other-cache"), "the token is for other-cache"),
    "of-a-database": (lambda keys, *_, **__: iam.database_token(keys, REGION, "x", 1, "y"), "the signature is not"),
}
ROLES: Final = {
    "another-role": (credentials("MigrateFunction"), "may not sign in as"),
    "forged": (credentials("QueryFunction") | {"AWS_SECRET_ACCESS_KEY": "guessed"}, "the signature is not"),
    "unknown-key": (credentials("QueryFunction") | {"AWS_ACCESS_KEY_ID": "ASIAOTHER"}, "the access key is unknown"),
    "without-session": (credentials("QueryFunction") | {"AWS_SESSION_TOKEN": ""}, "the session token is not"),
}


def check_no_answer(api: Api, logged: Callable[[], str], reason: str) -> None:
    """Check that the database is unavailable to callers, who do not learn why. The function's log has the reason."""
    for request in (partial(api.get, PRODUCT), partial(api.post, "/commands/set_price", {"id": 42, "price": 9.99})):
        answer = request()
        document = check_problem(answer, 503)
        assert "retry-after" in answer.headers
        assert not [secret for secret in SECRETS if secret in str(document)]
        assert reason in logged()


def check_bypass(api: Api, logged: Callable[[], str], reason: str) -> None:
    """Check that callers get an answer all the same, and that the function's log has the reason."""
    answer = api.get(PRODUCT)
    assert (answer.status, "hit" in answer.cache) == (200, False)
    assert reason in logged()
    written = api.post("/commands/set_price", {"id": 42, "price": 9.99})
    assert (written.status, written.json["invalidation"]) == (200, "pending")


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Returns what the functions have logged since the last call."""

    def read() -> str:
        text = capsys.readouterr().out + caplog.text
        caplog.clear()
        return text

    return read


@pytest.fixture
def since(servers: Servers) -> Callable[[str], str]:
    """Returns what a server has logged since the test began. Docker collects it a moment later."""
    before = {name: len(getattr(servers, name).log()) for name in ("database", "cache")}
    return lambda name: getattr(servers, name).log()[before[name] :]


@pytest.mark.parametrize("cause", DATABASE_TOKENS)
def test_the_database_refuses_a_token(
    cause: str, start_api: Any, since: Any, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, reason = DATABASE_TOKENS[cause]
    api = start_api()
    monkeypatch.setattr(connection, "database_token", token)
    check_no_answer(api, logged, "PAM authentication failed for user")
    wait_until(lambda: reason in since("database"))


@pytest.mark.parametrize("cause", ROLES)
def test_the_database_refuses_a_role(cause: str, start_api: Any, since: Any, logged: Any) -> None:
    keys, reason = ROLES[cause]
    api = start_api(**keys)
    check_problem(api.get(PRODUCT), 503)
    assert 'PAM authentication failed for user "cacheaside_query"' in logged()
    wait_until(lambda: reason in since("database"))


def test_a_database_with_the_certificate_of_another_host_is_refused(start_api: Any, logged: Any) -> None:
    check_no_answer(start_api(host="127.0.0.1"), logged, 'does not match host name "127.0.0.1"')


def test_a_database_with_a_certificate_of_another_authority_is_refused(
    start_api: Any, servers: Servers, logged: Any, tmp_path: Path
) -> None:
    url = servers.environment()["QueryFunction"]["DATABASE_URL"]
    other = url.replace(str(servers.authority.bundle), str(Authority(tmp_path).bundle))
    check_no_answer(start_api(DATABASE_URL=other), logged, "certificate verify failed")


def test_the_database_refuses_a_connection_without_tls(start_api: Any, servers: Servers, logged: Any) -> None:
    url = servers.environment()["QueryFunction"]["DATABASE_URL"].replace("verify-full", "disable")
    check_no_answer(start_api(DATABASE_URL=url), logged, "no encryption")


@pytest.mark.parametrize("cause", CACHE_TOKENS)
def test_the_cache_refuses_a_token(
    cause: str, start_api: Any, since: Any, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, reason = CACHE_TOKENS[cause]
    api = start_api()
    monkeypatch.setattr(options, "cache_token", token)
    check_bypass(api, logged, "invalid username-password pair")
    wait_until(lambda: reason in since("cache"))


@pytest.mark.parametrize("cause", ROLES)
def test_the_cache_refuses_a_role(
    cause: str, start_api: Any, since: Any, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, reason = ROLES[cause]
    api = start_api()
    signed = iam.Credentials(*keys.values())
    monkeypatch.setattr(options, "lambda_credentials", lambda: signed)  # the database still gets the usual ones
    check_bypass(api, logged, "invalid username-password pair")
    wait_until(lambda: reason in since("cache"))


def test_a_node_refuses_the_token_of_a_serverless_cache(
    start_api: Any, since: Any, logged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = start_api()
    monkeypatch.setattr(options, "cache_token", cache_token(serverless=True))
    check_bypass(api, logged, "invalid username-password pair")
    wait_until(lambda: "for another kind of server" in since("cache"))


def test_a_cache_with_the_certificate_of_another_host_is_refused(start_api: Any, servers: Servers, logged: Any) -> None:
    other = f"rediss://127.0.0.1:{servers.cache.port}"
    check_bypass(start_api(CACHE_URL=other), logged, "certificate is not valid for '127.0.0.1'")


def test_a_cache_with_a_certificate_of_another_authority_is_refused(
    start_api: Any, logged: Any, tmp_path: Path
) -> None:
    check_bypass(start_api(SSL_CERT_FILE=str(Authority(tmp_path).bundle)), logged, "certificate verify failed")


def test_the_cache_refuses_a_connection_without_tls(start_api: Any, servers: Servers, logged: Any) -> None:
    plain = f"redis://localhost:{servers.cache.port}"
    check_bypass(start_api(CACHE_URL=plain), logged, "no connection to the cache can be opened")
