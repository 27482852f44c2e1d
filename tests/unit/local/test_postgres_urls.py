"""The URLs that people have: every one that libpq understands becomes one form, and no error shows a password."""

from __future__ import annotations

import pytest
from psycopg2.extensions import parse_dsn

from local.errors import LocalError
from local.postgres_urls import canonical_url, with_options, without_credentials


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("postgresql://ann:a#1@h:5432/d", "postgresql://ann:a%231@h:5432/d"),
        ("postgres://ann:a[b?c:@h/d?sslmode=require", "postgresql://ann:a%5Bb%3Fc%3A@h/d?sslmode=require"),
        ("postgresql://u%40x:a%2Fb@h", "postgresql://u%40x:a%2Fb@h"),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://h1:5432,h2:5433/d", "postgresql://h1:5432/d?host=h1%2Ch2&port=5432%2C5433"),
        ("postgresql:///d?host=127.0.0.1&user=ann", "postgresql://ann@127.0.0.1/d"),
        ("postgresql:///d?host=/run/pg&port=5433", "postgresql://localhost:5433/d?host=%2Frun%2Fpg&port=5433"),
        ("postgresql://h/d?schema=public&connection_limit=5&pgbouncer=true", "postgresql://h/d"),
        ("postgresql://h/d?options=-c%20a%3Db+c", "postgresql://h/d?options=-c%20a%3Db%2Bc"),
    ],
)
def test_urls_of_libpq_and_of_frameworks_become_one_form(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ann:sEcret/1@h/d", "# is %23"),
        ("postgresql://ann:p@sEcret/w#o%rd@127.0.0.1:5432/d", "# is %23"),
        ("postgresql://ann:sEc%ret@h/d", "# is %23"),
        ("postgresql://ann:sEcret", "# is %23"),
        ("postgresql://ann:sEc?ret", "# is %23"),
        ("postgresql://ann:sEcret@[::1/d", "# is %23"),
        ("postgresql://ann:sEcret\udcff@h/d", "# is %23"),
        ("postgresql:///d", "like postgresql:///name?host=/run/postgresql"),
        ("postgresql://?service=shop", "in place of service="),
        ("postgresql://ann:sEcret@h/d?schema=sales", "leave out the parameter schema,"),
        ("host=h password=sEcret", "is not like postgresql://"),
    ],
)
def test_url_that_cannot_be_used_is_refused_without_a_part_of_it(url: str, reason: str) -> None:
    with pytest.raises(LocalError) as caught:
        canonical_url(url)
    assert reason in str(caught.value)
    assert not any(part in str(caught.value) for part in ("sEc", "w#o", "p@s"))


def test_options_are_added_and_credentials_left_out() -> None:
    url = with_options("postgresql://ann:a#1@h:5432/d?options=-c%20a%3Db", "-c role=x")
    assert parse_dsn(url)["options"] == "-c a=b -c role=x"
    assert parse_dsn(url)["password"] == "a#1"
    assert without_credentials(url) == "h:5432/d"
