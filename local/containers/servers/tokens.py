"""Checks IAM tokens as RDS and ElastiCache do, with botocore's own signer."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

__all__ = ["Refused", "check", "names_in"]

PRINCIPALS: Final = Path("/etc/iam.json")
LONGEST: Final = timedelta(minutes=15)
CLOCK_SKEW: Final = timedelta(minutes=5)


class Refused(Exception):
    """The token is not accepted. The text says why."""


def check(
    token: str,
    service: str,
    expected: dict[str, str],
    is_ours: Callable[[str, str], bool],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Return if `token` is a request to `service` with the parameters `expected`, signed within the last 15 minutes.

    `is_ours` is given the host that the token is for and the region, and returns whether that is this server. Raises
    Refused.
    """
    signed, _, signature = token.rpartition("&X-Amz-Signature=")
    url = urlsplit(f"https://{signed}")
    given = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    key, _, scope = given.get("X-Amz-Credential", "").partition("/")
    principals = json.loads(PRINCIPALS.read_text())
    principal = principals.get(key, principals.get("*") if key else None)
    if principal is None:
        raise Refused("the access key is unknown")
    region = [*scope.split("/"), ""][1]
    if _signature(signed, given, principal, region, service) != signature:
        raise Refused("the signature is not that of this request")
    if {name: value for name, value in given.items() if not name.startswith("X-Amz-")} != expected:
        raise Refused("the token is for another user, or for another kind of server")
    if not is_ours(url.netloc, region):
        raise Refused(f"the token is for {url.netloc}")
    if given.get("X-Amz-Security-Token") != principal.get("session_token"):
        raise Refused("the session token is not that of the access key")
    began, lifetime = _moment(given), timedelta(seconds=int(given.get("X-Amz-Expires", 0)))
    if not began - CLOCK_SKEW <= now() < began + min(lifetime, LONGEST):
        raise Refused(f"the token was valid for {lifetime} from {began}")
    user = expected.get("DBUser") or expected["User"]
    if not any(fnmatchcase(user, pattern) for pattern in principal["users"]):
        raise Refused(f"the role of {key} may not sign in as {user}")


def names_in(certificate: str) -> set[str]:
    """Return the names of the server for which the file `certificate` was issued."""
    decoded: Any = ssl._ssl._test_decode_cert(certificate)  # type: ignore[attr-defined]  # the only parser in Python
    return {value for _, value in decoded.get("subjectAltName", ())}


def _signature(signed: str, given: dict[str, str], principal: dict[str, Any], region: str, service: str) -> str:
    request = AWSRequest(method="GET", url=f"https://{signed}")
    request.context["timestamp"] = given.get("X-Amz-Date", "")
    auth = SigV4QueryAuth(Credentials(given["X-Amz-Credential"], principal["secret"]), service, region)
    canonical = auth.canonical_request(request)
    return str(auth.signature(auth.string_to_sign(request, canonical), request))


def _moment(given: dict[str, str]) -> datetime:
    if not re.fullmatch(r"\d{8}T\d{6}Z", given.get("X-Amz-Date", "")):
        raise Refused("the token has no date")
    return datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
