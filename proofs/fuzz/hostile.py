"""Texts that some reader on the way takes for more than text: of HTTP, of URLs, of SQL, of JSON, of logs."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from proofs.fuzz import strategies as st
from proofs.fuzz.choices import Choices

__all__ = ["JSON_TEXTS", "NUMBERS", "QUERY_STRINGS", "TEXTS", "UNICODE_TEXTS", "WORDS", "near"]

_SQL: Final = (
    *(
        "'",
        "''",
        "\\",
        "\\'",
        "'\\",
        "\\\\'",
        '"',
        "$$",
        "$a$",
        "E'",
        "U&'",
        "--",
        "/*",
        "*/",
        ";",
        "%s",
        "%(x)s",
        "%%",
    ),
    *("' or 1=1 --", "'; drop table things; --", "\\'; select pg_sleep(9) --", "'::text) union select 1 --", "{", "}"),
    *("NULL", "null", "{NULL}", ",", "{}", "\\x27", "\\047", "\\u0027", "0x27", "\x1a", "\u02bc", "\uff07", "\u2019"),
    # Characters whose bytes in SJIS, GBK or BIG5 end with that of a backslash or a quote.
    *("表", "ソ", "縗", "乗\\", "能'", "\xbf'", "\xbf\\'", "許功蓋"),
)
_URLS: Final = (
    "%",
    "%2",
    "%2f",
    "%2F..",
    "..",
    "/",
    "//",
    "%00",
    "%ff",
    "%c0%af",
    "%ed%a0%80",
    "+",
    "&",
    "=",
    "?",
    "#",
)
_LOGS: Final = (
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\u202e",
)
_HTTP: Final = (
    "\r\nSet-Cookie: a=b",
    "\r\n\r\n<html>",
    "a,b",
    '"',
    "W/",
    "*",
    ";q=",
    "gzip;q=0",
    "identity",
    "\t",
    " ",
)
_TEXT: Final = (
    "",
    "a",
    "é",
    "e\u0301",
    "€",
    "🙈",
    "İ",
    "ß",
    "\U0010ffff",
    "true",
    "false",
    "0",
    "-1",
    "NaN",
    "Infinity",
)
WORDS: Final = (*_SQL, *_URLS, *_LOGS, *_HTTP, *_TEXT)
_CHARACTERS: Final = st.characters()


def _text(choices: Choices) -> str:
    return "".join(
        choices.some(lambda: _CHARACTERS.draw(choices) if choices.once_in(3) else choices.of(WORDS), at_most=6)
    )


# Everything that UTF-8 has.
UNICODE_TEXTS: Final = st.Strategy(_text)


def _sizes(usual: tuple[int, ...], huge: int) -> st.Strategy[int]:
    """A huge input takes as long as a hundred others, so it is rare."""
    return st.one_of(*[st.sampled_from(usual)] * 63, st.just(huge))


# Mostly some kB, which a URL can have, and rarely as much as a body can have.
_LENGTHS: Final = _sizes((100, 100, 100, 2_000, 2_000, 9_000), 300_000)
_HUGE: Final = st.builds(lambda word, length: word * (length // max(1, len(word))), st.sampled_from(WORDS), _LENGTHS)
_SURROGATES: Final = st.sampled_from(("\ud800", "\udbff", "\udc00", "\ude48", "\ude48\ud83d"))
# And what Python's text has in addition: half a surrogate pair, as JSON can escape it.
TEXTS: Final = st.one_of(*[UNICODE_TEXTS] * 6, st.builds(str.__add__, UNICODE_TEXTS, _SURROGATES), _HUGE)

_SIGN: Final = st.sampled_from(("", "-", "+"))
_DIGITS: Final = st.text(st.sampled_from("0123456789"), max_size=30)
NUMBERS: Final = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.builds("".join, st.tuples(_SIGN, _DIGITS, st.sampled_from((".", "")), _DIGITS)),
    st.builds("{}{}.{}e{}{}".format, _SIGN, _DIGITS, _DIGITS, _SIGN, st.integers(0, 9_999)),
    st.sampled_from(
        ("1e999", "-1e400", "1e-999999", "0e999999999", "-0", "-0.0", "1_0", " 1", "1\n", "٤", "0x10", "1e")
    ),
    st.builds(
        lambda digits, dot: "9" * digits + dot,
        st.sampled_from((19, 400, 401, 5_000)),
        st.sampled_from(("", ".0", "e1")),
    ),
)
_DATES: Final = st.one_of(
    st.dates().map(str),
    st.builds(
        lambda at, zone: f"{at.isoformat()}{zone}",
        st.datetimes(),
        st.sampled_from(("", "Z", "+05:30", "-15:59", "+16:00")),
    ),
    st.builds(
        lambda numbers, end: "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.".format(*numbers) + end,
        st.tuples(st.integers(0, 10_000), *[st.integers(0, most) for most in (13, 32, 24, 60, 60)]),
        st.sampled_from(("0Z", "123456Z", "1234567Z", "", "5", "5+00:00", "5-24:00", "5+05:60")),
    ),
    st.sampled_from(
        ("infinity", "now", "0000-01-01", "9999-12-31T23:59:59.999999Z", "10000-01-01", "2024-02-30", "2024-W01-1")
    ),
)
_NEAR: Final = {
    "text": TEXTS,
    "integer": NUMBERS,
    "number": NUMBERS,
    "boolean": st.sampled_from(("true", "false", "True", "1", "on", "true ")),
    "date": _DATES,
    "timestamp": _DATES,
    "uuid": st.uuids().map(str)
    | st.uuids().map(lambda each: str(each).upper())
    | st.uuids().map(lambda each: f"{{{each}}}"),
    "enum": st.sampled_from(("a", "it's", "so\\so", "b,c", "A", "a ", "{a}")),
}


def near(kind: str) -> st.Strategy[str]:
    """Return texts that are valid for a type of parameter, or nearly, or not at all."""
    return st.one_of(_NEAR[kind], _NEAR[kind], _NEAR[kind], TEXTS)


_LEAVES: Final = st.one_of(
    NUMBERS,
    st.sampled_from(
        (
            "null",
            "true",
            "false",
            "NaN",
            "-Infinity",
            '"\\ud800"',
            '"\\u0000"',
            '"\\ud83d\\ude48"',
            "'a'",
            "",
            '"',
            "{",
            "[",
        )
    ),
    UNICODE_TEXTS.map(lambda text: f'"{text}"'),
    UNICODE_TEXTS.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'),
)
_NAMES: Final = st.sampled_from(
    ("x", "id", "price", "tags", "query", "params", "", "__proto__", "\\u0078", "é", "x\\ud800")
)


def _objects(inner: st.Strategy[str]) -> st.Strategy[str]:
    pairs = st.builds(lambda name, value: f'"{name}":{value}', _NAMES, inner)
    return st.lists(inner, max_size=4).map(lambda each: f"[{','.join(each)}]") | st.lists(pairs, max_size=4).map(
        lambda each: f"{{{','.join(each)}}}"
    )


_NESTED: Final = st.builds(
    lambda opening, depth, closing: '{"x":' + opening * depth + closing * depth + "}",
    *(
        st.sampled_from(("[", '{"x":', "[[],")),
        _sizes((10, 10, 10, 900, 900, 5_000), 100_000),
        st.sampled_from(("]", "", "}")),
    ),
)
_WIDE: Final = st.builds(
    lambda item, times: f'{{"x":[{",".join([item] * times)}]}}', _LEAVES, _sizes((10, 10, 10, 10, 300), 30_000)
)
_WELL: Final = st.recursive(_LEAVES, _objects)
# Text that is JSON, or nearly.
JSON_TEXTS: Final = st.one_of(
    _WELL,
    st.lists(st.builds(lambda n, v: f'"{n}":{v}', _NAMES, _WELL), max_size=5).map(lambda each: f"{{{','.join(each)}}}"),
    _WELL,
    _NESTED,
    _WIDE,
    TEXTS,
)

_COMPONENTS: Final = st.one_of(
    TEXTS.map(lambda text: quote(text, errors="surrogatepass")), UNICODE_TEXTS, st.sampled_from(_URLS)
)


def _pairs(names: st.Strategy[str]) -> st.Strategy[str]:
    return st.lists(st.builds(lambda name, value: f"{name}={value}", names, _COMPONENTS), max_size=4).map("&".join)


QUERY_STRINGS: Final = st.one_of(
    *(_pairs(st.sampled_from(("x", "id", "limit", "since", "X", "x[]", ""))), _pairs(_COMPONENTS), TEXTS),
    st.builds(
        lambda pair, times: "&".join([pair] * times),
        st.sampled_from(("x=1", "x", "=", "%20=", "y1=2")),
        _sizes((2, 2, 2, 300), 20_000),
    ),
)
