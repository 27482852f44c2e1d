"""Answers of PostgreSQL: any messages, to every call of the drivers. They return an answer, or raise DatabaseError.

Nothing else may be raised, no transaction may stay open, and a caller learns nothing of what the server said, but the
names of columns and constraints.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple
from unittest import mock

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue.statements import Command, Query
from cacheaside.drivers.postgres import commands, connection, rendering
from cacheaside.drivers.postgres.commands import Commands
from cacheaside.drivers.postgres.outbox import Outbox
from cacheaside.drivers.postgres.queries import Queries
from cacheaside.errors import CacheasideError, DatabaseError, IdempotencyKeyInFlight, IdempotencyKeyReused
from cacheaside.http.problems import problem_response
from cacheaside.reading.question import Question
from cacheaside.reading.steps import Load, Loaded
from cacheaside.settings import Authentication, DatabaseSettings
from cacheaside.writing.idempotency import Idempotency
from cacheaside.writing.writer import Committed
from proofs.fuzz import strategies as st
from proofs.fuzz.fake_servers import serving
from proofs.fuzz.hostile import UNICODE_TEXTS
from proofs.fuzz.target import Target

__all__ = ["STARTED", "opened", "result"]

_UNTOLD: Final = "select_secret_from_host_10_0_0_7"  # the server says it where a caller must not read it


class Answers(NamedTuple):
    """A call of a driver, and the server's bytes: at its start, and for each message that it gets. It then closes."""

    call: str
    start: bytes
    answers: list[bytes]


_PARAMETERS: Final = {"x": Parameter(name="x", type="text")}
_VALUES: Final = {"x": "a"}
_QUERY: Final = Query("q", "", "select %(x)s", "many", 300, _PARAMETERS, ("things",), Policy(ttl_ms=1_000))
_ONE: Final = _QUERY._replace(returns="one")
_COMMAND: Final = Command("c", "", "select %(x)s", "one", 300, _PARAMETERS)
_KEY: Final = Idempotency("key", "fingerprint")


def _loaded(settings: DatabaseSettings, query: Query, **options: Any) -> object:
    driver = Queries(settings)
    try:
        return driver.load(Load(Question(Query(*query), _VALUES), 300, **options))
    finally:
        driver.forget()


def _executed(settings: DatabaseSettings, idempotency: Idempotency | None) -> object:
    driver = Commands(settings, sleep=lambda _: None)
    try:
        return driver.execute(_COMMAND, _VALUES, idempotency)
    finally:
        driver._kept.forget()


def _outbox(settings: DatabaseSettings, method: str, *values: object) -> object:
    driver = Outbox(settings)
    try:
        return getattr(driver, method)(*values)
    finally:
        driver._kept.forget()


def _is_body(found: Any) -> bool:
    return found.body is None or isinstance(found.body, bytes)


_CATALOGUE: Final = Catalogue({"q": _QUERY}, {"c": _COMMAND})
_CALLS: Final[Mapping[str, tuple[Callable[[DatabaseSettings], object], Callable[[Any], bool]]]] = {
    "load many": (lambda to: _loaded(to, _QUERY), lambda it: isinstance(it, Loaded) and _is_body(it)),
    "load one": (lambda to: _loaded(to, _ONE, bypass=True), lambda it: isinstance(it, Loaded) and _is_body(it)),
    "execute": (lambda to: _executed(to, None), lambda it: isinstance(it, Committed) and _is_body(it)),
    "execute once": (lambda to: _executed(to, _KEY), lambda it: isinstance(it, Committed) and _is_body(it)),
    "ping": (lambda to: Queries(to).ping(), lambda it: it is None),
    "row types": (lambda to: Queries(to).row_types(_CATALOGUE), lambda it: isinstance(it, dict)),
}


def _message(kind: bytes, body: bytes, lie: int = 0) -> bytes:
    return kind + struct.pack("!i", max(-(2**31), len(body) + 4 + lie)) + body


def _status(name: bytes, value: bytes) -> bytes:
    return _message(b"S", name + b"\0" + value + b"\0")


_READY: Final = _message(b"Z", b"I")
STARTED: Final = b"".join(
    (
        _message(b"R", bytes(4)),
        *(
            _status(*pair)
            for pair in ((b"server_version", b"18.4"), (b"client_encoding", b"UTF8"), (b"in_hot_standby", b"off"))
        ),
        *(
            _status(*pair)
            for pair in (
                (b"standard_conforming_strings", b"on"),
                (b"integer_datetimes", b"on"),
                (b"DateStyle", b"ISO, MDY"),
            )
        ),
        *(_message(b"K", bytes(8)), _READY),
    )
)

_TYPES: Final = st.sampled_from(
    (
        25,
        25,
        25,
        114,
        3802,
        20,
        23,
        16,
        17,
        701,
        1700,
        1082,
        1114,
        1184,
        1186,
        1000,
        1007,
        1009,
        1231,
        2950,
        0,
        2**32 - 1,
    )
)
_DATA: Final = st.one_of(
    st.none(),
    st.sampled_from(
        (
            b'{"a":1}',
            b"{}",
            b"[]",
            b"null",
            b"1",
            b"t",
            b"",
            b"{1,2",
            b"{{1},{2}}",
            b"NaN",
            b"infinity",
            b"-infinity",
            b"2024-01-01",
            b"99999-01-01",
            b"0001-01-01 BC",
            b"2024-01-01 00:00:00+99",
            b"\\x6",
            b"\xff",
            b"\x83\\",
            b"1e99999999999",
            b"9" * 5_000,
            b"[" * 5_000,
            b"fingerprint",
        )
    ),
    UNICODE_TEXTS.map(str.encode),
    st.binary(max_size=12),
)


def _row(values: list[bytes | None]) -> bytes:
    parts = (struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values)
    return _message(b"D", struct.pack("!h", len(values)) + b"".join(parts))


def _columns(types: list[int], form: int) -> bytes:
    each = (b"c\0" + struct.pack("!IhIhih", 0, 0, number, -1, -1, form) for number in types)
    return _message(b"T", struct.pack("!h", len(types)) + b"".join(each))


def result(columns: list[tuple[int, bytes | None]], times: int, form: int) -> bytes:
    rows = _row([value for _, value in columns]) * times
    return _columns([number for number, _ in columns], form) + rows + _message(b"C", b"SELECT 1\0")


_RESULTS: Final = st.builds(
    result,
    st.lists(st.tuples(_TYPES, _DATA), max_size=4),
    st.sampled_from((0, 1, 1, 1, 2, 3_000)),
    st.sampled_from((0, 0, 0, 0, 1, 7)),
)
_USUAL: Final = st.sampled_from(
    (
        result([(25, b'{"a":1}')], 1, 0),
        result([(25, b"")], 1, 0),
        _message(b"C", b"BEGIN\0"),
        _message(b"C", b"COMMIT\0"),
    )
)
_SAID: Final = st.one_of(
    st.just(_UNTOLD.encode()),
    UNICODE_TEXTS.map(lambda text: f"{_UNTOLD}\n{text}".encode().replace(b"\0", b"")),
    st.sampled_from((b"\xff\xfe", b"", b"caf\xe9", b"insert or update x")),
)
_CODES: Final = st.sampled_from(
    (
        b"23505",
        b"23503",
        b"23502",
        b"23514",
        b"23P01",
        b"23000",
        b"22P02",
        b"22021",
        b"42601",
        b"42501",
        b"40001",
        b"40P01",
        b"55P03",
        b"57014",
        b"57P01",
        b"25006",
        b"53100",
        b"08006",
        b"08007",
        b"P0001",
        b"OVRLD",
        b"XX000",
        b"00000",
        b"",
        b"2",
        b"\xff\xff\xff\xff\xff",
        b"23505\n",
        b"ABCDEFGHIJ",
        b"0A000",
        b"3F000",
    )
)
_SHOWN: Final = st.sampled_from(
    (
        b"price",
        b"things_pkey",
        b"a\nb",
        b"\xff\xfe",
        b"<script>",
        b"{0.__class__}",
        b"{constraint}",
        b"\x1b[2J",
        b"",
        b'"',
        "é".encode(),
    )
)
_FIELDS: Final = st.fixed_dictionaries(
    {b"S": st.sampled_from((b"ERROR", b"FATAL", b"PANIC", b"\xff")), b"C": _CODES, b"M": _SAID},
    optional={
        **dict.fromkeys((b"D", b"H", b"q", b"W", b"F", b"L", b"R", b"s", b"t"), _SAID),
        **dict.fromkeys((b"c", b"n", b"d"), _SHOWN),
        **{name: st.sampled_from((b"1", b"-1", b"x", b"999999999999999999")) for name in (b"P", b"p")},
        b"V": st.sampled_from((b"ERROR", b"LOG")),
        b"?": _SAID,
    },
)


def _said(kind: bytes) -> st.Strategy[bytes]:
    return _FIELDS.map(
        lambda fields: _message(kind, b"".join(name + value + b"\0" for name, value in fields.items()) + b"\0")
    )


_OTHERS: Final = st.one_of(
    *(_said(b"N"), st.builds(lambda name, text: _message(b"A", bytes(4) + name + b"\0" + text + b"\0"), _SHOWN, _SAID)),
    st.builds(
        _status,
        st.sampled_from((b"client_encoding", b"standard_conforming_strings", b"in_hot_standby", b"TimeZone", b"\xff")),
        st.sampled_from((b"SJIS", b"off", b"on", b"LATIN1", b"nonsense", b"\xff", b"", b"MULE_INTERNAL")),
    ),
    st.builds(
        _message,
        st.sampled_from(
            (
                b"I",
                b"G",
                b"H",
                b"W",
                b"d",
                b"c",
                b"1",
                b"2",
                b"3",
                b"t",
                b"n",
                b"s",
                b"K",
                b"v",
                b"R",
                b"C",
                b"D",
                b"T",
                b"E",
                b"Z",
                b"\0",
                b"\xff",
            )
        ),
        st.binary(max_size=9),
        st.sampled_from((0, 0, 0, -5, -4, 1, 1_000_000, 2**31 - 20)),
    ),
    st.sampled_from(
        (
            _message(b"G", b"\0\0\0"),
            _message(b"H", b"\0\0\0"),
            _message(b"W", b"\0\0\0"),
            _message(b"Z", b"T"),
            _message(b"Z", b"E"),
            _message(b"Z", b"X"),
        )
    ),
    st.binary(max_size=20),
)
_PARTS: Final = st.one_of(_RESULTS, _RESULTS, _USUAL, _said(b"E"), _OTHERS)
_ENDED: Final = st.lists(_PARTS, max_size=3).map(lambda parts: b"".join([*parts, _READY]))
_ANSWER: Final = st.one_of(
    *[_ENDED] * 4,
    *[st.lists(_USUAL, max_size=2).map(lambda parts: b"".join([*parts, _READY]))] * 4,
    st.lists(_PARTS, min_size=1, max_size=3).map(b"".join),
)
_START: Final = st.one_of(
    *[st.just(STARTED)] * 12,
    st.builds(lambda other: STARTED[:-6] + other + _READY, _OTHERS),
    st.builds(
        lambda other, length: STARTED[:length] + other, st.one_of(_OTHERS, _said(b"E")), st.integers(0, len(STARTED))
    ),
)


@contextmanager
def opened() -> Iterator[Target]:
    """Return the target, with a server that sends what the case says. Limits of time are short meanwhile."""
    case: list[Any] = [b"", []]

    def serve(client: socket.socket) -> None:
        client.recv(65_536)
        client.sendall(case[0])
        client.settimeout(0.02)  # the client waits for the rest of an answer: it gets the next one
        for answer in case[1]:
            with suppress(TimeoutError):
                if not client.recv(65_536):
                    return
            client.sendall(answer)

    limits = (
        (connection, "_CONNECT_S", 0.5),
        (connection, "_PING_S", 0.3),
        (rendering, "_GRACE_S", 0.2),
        (commands, "_FOLLOW_UP_MS", 300),
    )
    with serving(serve) as port, contextmanager(_patched)(limits):
        url = f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable&gssencmode=disable"
        settings = DatabaseSettings(url=url, authentication=Authentication.URL, region="")

        def check(given: Answers) -> None:
            case[:] = [given.start, given.answers]
            _check(given, settings)

        cases = st.builds(Answers, st.sampled_from(sorted(_CALLS)), _START, st.lists(_ANSWER, min_size=1, max_size=6))
        yield Target("postgres", cases, check, memory_mb=100)


def _patched(limits: tuple[tuple[Any, str, float], ...]) -> Iterator[None]:
    patches = [mock.patch.object(module, name, value) for module, name, value in limits]
    for patch in patches:
        patch.start()
    yield
    for patch in patches:
        patch.stop()


def _check(case: Answers, settings: DatabaseSettings) -> None:
    call, is_right = _CALLS[case.call]
    try:
        found = call(settings)
    except (DatabaseError, IdempotencyKeyReused, IdempotencyKeyInFlight) as error:
        _check_problem(error)
        return
    assert is_right(found), f"it returned {found!r:.500}"


def _check_problem(error: CacheasideError) -> None:
    response = problem_response(error, "0")
    assert _UNTOLD not in response.body, response.body
    assert "127.0.0.1" not in response.body, response.body
    json.loads(response.body)
    response.body.encode()
