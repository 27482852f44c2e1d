"""Files of the catalogue, made of choices: mostly a right header, and SQL of strings, names, comments and placeholders.

The placeholders are outside of quotes and inside, and the quotes begin, continue and end in each way that PostgreSQL
has. Some files have a wrong line in the header, or pieces of SQL that do not fit together.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from proofs.fuzz import strategies as st
from proofs.fuzz.choices import Choices
from proofs.fuzz.hostile import WORDS

__all__ = ["FILES", "File"]


class File(NamedTuple):
    """A file of a query or a command, and the texts that a caller may send for its parameters."""

    folder: str
    data: bytes
    sent: list[str]


_QUOTES: Final = (
    *(("'", "'"), ("E'", "'"), ("e'", "'"), ("U&'", "'"), ("N'", "'"), ("B'", "'"), ('"', '"'), ('U&"', '"')),
    *(("$$", "$$"), ("$a$", "$a$"), ("$é$", "$é$"), ("--", "\n"), ("--", "\r"), ("/*", "*/"), ("/*/*", "*/ */")),
    *(("a$b$", "$b$"), ("1e'", "'"), ("ée'", "'"), ("a$e'", "'"), ("1$a$", "$a$"), ("/*", ""), ("$a$", "$A$")),
)
_INSIDE: Final = (
    *("%(x)s", "%(x)s", "a", "''", "\\'", "\\", "\\\\", "'\n'", "'\r'", "' --b\n'", "' \t\f'", '""', "$$", "$a$"),
    *("--", "/*", "*/", "\n", "%%", "'", '"', "\x0b", "\u2028", "é", ";"),
)
_OUTSIDE: Final = (
    *("%(x)s", "%(x)s", "%(x)s", ",", " ", "\n", "1", "a", "(", ")", "::text", "*", "/", "-", "+", "a$b", "$1", "%%"),
    *("%(y)s", "%(nope)s", "%", "\r", "\x0b", "\x85", "\0", ";", "\\", "'", '"', "$$", "--", "/*", "E'", "select"),
    *("%%(x)s", "%%(x)se'\\'"),
)
_NAMES: Final = ("x", "x", "x", "x", "y", "X", "a b", "", "é", "{x}", "limit", "a.b", "x\n")
_ENUM: Final = 'enum", values = ["a", "it\'s"], description = "'
_KINDS: Final = (
    *("text", "text", "text", "text[]", "integer", "number", "boolean", "date", "timestamp", "uuid", _ENUM),
    *("integer[]", "number[]", "enum[]", "enum", "nonsense"),
)
_OPTIONS: Final = (
    *("required", "default", "example", "description", "min", "max", "min_length", "max_length", "pattern", "values"),
    *("source", "nonsense"),
)
_KEYS: Final = (
    *("summary", "ttl", "stale", "stale_if_error", "negative_ttl", "jitter", "early_refresh", "wait", "waited_out"),
    *("compress", "local", "client", "verify", "new_answers", "tags", "timeout", "returns", "isolation", "params"),
    *("params.x", "params.id.type", 'params.""', "a.b.c", "[params.x]", "[[tags]]"),
)
_SCALARS: Final = (
    *("0", "1", "-1", "0.5", "true", "false", "2024-01-01", "2024-01-01T00:00:00Z", "07:32:00", "nan", "inf", "1e400"),
    *('"60s"', '"1d"', '"many"', '"one"', '"load"', '"serializable"', '"x"', '"things"', '"things:{x}"', "1e-999999"),
    *('["a", "it\'s"]', "[1, 2]", '[""]', '["a", "a"]', "[true]", '[["a"]]', "[]", "{}", "''", "''''''", "9" * 5_000),
    *('"[a-z]+"', '"(a+)+b"', '"\\\\d{1,1000}"', '"("', '"(?s).*"', '"\\\\p{Greek}"', '"[[:alpha:]]\\\\z"'),
    *("0e9999999999", '"\\"T\\":{x},{id}"', "+0", "0x7fffffffffffffff", "9" * 20, '"claims.sub"'),
)
_GOOD: Final = ('summary = "s"', 'ttl = "60s"', 'tags = ["things"]')


def _file(choices: Choices) -> File:
    is_query = not choices.once_in(4)
    names = choices.some(lambda: choices.of(_NAMES), 2) if choices.once_in(4) else ["x"]
    lines = [
        *(_GOOD if is_query else _GOOD[:1]),
        *(_declaration(choices, name) for name in dict.fromkeys(names)),
        *([_line(choices)] if choices.once_in(4) else ()),
    ]
    prefix = choices.of(("--", "--\t", "", "\ufeff-- ")) if choices.once_in(8) else "-- "
    # A parameter that the statement does not use is an error. So each is used once, whatever follows.
    used = ",".join(f"%({name})s" for name in names)
    sql = f"select {used} {''.join(choices.some(lambda: _part(choices), 6))}"
    data = "".join(f"{prefix}{line}\n" for line in lines) + sql * (500 if choices.once_in(100) else 1)
    sent = "".join(choices.some(lambda: choices.of(WORDS), 4))
    return File("queries" if is_query else "commands", data.encode(errors="surrogatepass"), [sent])


def _declaration(choices: Choices, name: str) -> str:
    options = [f'type = "{choices.of(_KINDS)}"']
    if choices.once_in(4):
        options += choices.some(lambda: f"{choices.of(_OPTIONS)} = {_value(choices)}", 2)
    key = name if name.isascii() and name.isalnum() else json.dumps(name)
    return f"params.{key} = {{ {', '.join(options)} }}"


def _line(choices: Choices) -> str:
    if choices.once_in(4):
        return "".join(choices.some(lambda: choices.of(WORDS), 3)).replace("\n", " ")
    return f"{choices.of(_KEYS)} = {_value(choices)}"


def _value(choices: Choices) -> str:
    if choices.once_in(6):
        return f"[{', '.join(choices.some(lambda: choices.of(_SCALARS), 3))}]"
    if choices.once_in(6):
        return json.dumps("".join(choices.some(lambda: choices.of(WORDS), 3)))
    return choices.of(_SCALARS)


def _part(choices: Choices) -> str:
    if choices.once_in(2):
        opening, closing = choices.of(_QUOTES)
        return f"{opening}{''.join(choices.some(lambda: choices.of(_INSIDE), 4))}{closing}"
    return choices.of(_OUTSIDE)


_DEEP: Final = st.one_of(
    st.builds(
        lambda nested, times: f"-- tags = {nested * times}\nselect 1".encode(),
        *(st.sampled_from(("[", "{a=", '["a",')), st.sampled_from((100, 5_000, 100_000))),
    ),
    st.builds(
        lambda key, times: f"-- {'.'.join([key] * times)} = 1\nselect 1".encode(),
        *(st.sampled_from(("a", '""')), st.sampled_from((100, 3_000))),
    ),
    st.binary(max_size=200),
)
FILES: Final = st.one_of(*[st.Strategy(_file)] * 30, _DEEP.map(lambda data: File("queries", data, [""])))
