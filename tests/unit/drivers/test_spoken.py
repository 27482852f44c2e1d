"""What PostgreSQL says is logged without the values of callers, and with the reason and the names that explain it."""

from __future__ import annotations

from types import SimpleNamespace

import psycopg2
import pytest

from cacheaside.drivers.postgres.spoken import without_values

URL = "postgresql://owner:se%20cret@db.example/shop"


class _Refused(psycopg2.Error):
    """An error of a statement, with the fields that psycopg2 reads of a reply."""

    def __init__(self, code: str | None, primary: str | None, text: str) -> None:
        super().__init__(text)
        self._code, self._primary = code, primary

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]
        return self._code

    @property
    def diag(self) -> SimpleNamespace:  # type: ignore[override]
        return SimpleNamespace(message_primary=self._primary)


@pytest.mark.parametrize(
    ("code", "primary", "logged"),
    [
        ("42703", 'column "no_column" does not exist', 'column "no_column" does not exist'),
        ("42P01", 'relation "Sales"."Order" does not exist', 'relation "Sales"."Order" does not exist'),
        ("42601", "syntax error at or near \"'ada@example.com'\"", 'syntax error at or near "…"'),
        ("42601", 'syntax error at or near "\'ada "" and\nmore\'"', 'syntax error at or near "…"'),
        ("23505", 'duplicate key … constraint "customers_pkey"', 'duplicate key … constraint "customers_pkey"'),
        ("22P02", 'invalid input syntax for type integer: "ada"', 'invalid input syntax for type integer: "…"'),
        ("22P02", 'invalid input syntax for type uuid: "a" ada "b"', 'invalid input syntax for type uuid: "…"'),
        ("22P02", "Eingabesyntax für Typ integer: »ada«", 'Eingabesyntax für Typ integer: "…"'),
        ("22P02", "pour le type integer : « ada »", 'pour le type integer : "…"'),
        ("42601", "Syntaxfehler bei »'ada@example.com'«", 'Syntaxfehler bei "…"'),
        ("42P01", "Relation »Order« existiert nicht", "Relation »Order« existiert nicht"),
        ("XX000", 'parse error: "ada\nsaid', 'parse error: "…"'),
        ("53400", 'exceeds "temp_file_limit" (1kB)', 'exceeds "temp_file_limit" (1kB)'),
        ("57014", "canceling statement due to statement timeout", "canceling statement due to statement timeout"),
    ],
)
def test_the_reason_stays_and_the_values_go(code: str, primary: str, logged: str) -> None:
    more = "\nLINE 1: where email = 'ada@example.com'\nDETAIL:  Key (email)=(ada@example.com)\nCONTEXT:  ada"
    error = _Refused(code, primary, primary + more)
    without_values(error, URL)
    assert (str(error), error.pgcode) == (logged, code)


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        (
            'invalid dsn: invalid percent-encoded token: "se%cret"\n',
            'invalid dsn: invalid percent-encoded token: "…"\n',
        ),
        ('connection to server at "db.example" failed: se cret', 'connection to server at "db.example" failed: …'),
        ("option se%20cret", "option …"),
        ("server closed the connection unexpectedly", "server closed the connection unexpectedly"),
    ],
)
def test_an_error_of_the_connection_stays_without_the_password(said: str, logged: str) -> None:
    error = _Refused(None, None, said)
    without_values(error, URL)
    assert str(error) == logged
