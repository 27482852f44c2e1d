"""What an error of PostgreSQL may say in a log: why a statement failed, and nothing of the values in it.

A log shows an error with its causes. The text that psycopg2 gives an error has the values of callers, and of rows:

    ERROR:  duplicate key value violates unique constraint "customers_email_key"     stays
    DETAIL:  Key (email)=(ada@example.com) already exists.                           goes, as LINE, HINT and CONTEXT
    ERROR:  invalid input syntax for type integer: "ada@example.com"                 loses what is quoted

The fields in `diag` stay, because the drivers decide by them. Nothing logs these.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import psycopg2

__all__ = ["without_values"]

# The SQLSTATE classes whose messages quote names of the schema or of settings: 0A feature not supported, 23 constraint
# violated, 3F invalid schema name, 42 syntax error or access rule violated, 53 insufficient resources. A literal in
# such a quotation has quotes of its own.
_ABOUT_NAMES: Final = ("0A", "23", "3F", "42", "53")
# PostgreSQL quotes with the marks of its language (lc_messages), and a value can have such marks too. So all from the
# first mark to the last goes, or all from the only one.
_MARK: Final = '["«»„“”「」]'
_QUOTED: Final = re.compile(f"{_MARK}(?:.*{_MARK}|.*)", re.DOTALL)
_QUOTED_LITERAL: Final = re.compile(f"{_MARK}[^{_MARK[1:-1]}]*'.*", re.DOTALL)


def without_values(error: psycopg2.Error, url: str) -> None:
    """Change the text of `error` to what may be logged. `url` is that of the database, with its password if it has one.

    An error without a SQLSTATE is not about a statement: it keeps its text, without the password.
    """
    message = error.diag.message_primary
    if error.pgcode is None or message is None:
        text = str(error)
        if "dsn" in text:  # libpq quotes the part of the URL that it cannot read, which may be one of the password
            text = _QUOTED.sub('"…"', text)
        for secret in filter(None, _passwords(url)):
            text = text.replace(secret, "…")
    else:
        text = (_QUOTED_LITERAL if error.pgcode.startswith(_ABOUT_NAMES) else _QUOTED).sub('"…"', message)
    error.args = (text,)


def _passwords(url: str) -> tuple[str, ...]:
    password = urlsplit(url).password or ""
    return password, unquote(password)
