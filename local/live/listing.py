"""Cached answers as text and as JSON, for `ls` and `inspect`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from local.cli.output import table
from local.live.durations import duration
from local.live.entries import CachedAnswer
from local.terminal import printable

__all__ = ["as_document", "as_table", "in_full", "pretty"]

_HEAD: Final = ("query", "parameters", "state", "for", "age", "last read", "stored", "unpacked")
_WIDEST: Final = 48  # of the parameters
_NUMBER: Final = re.compile(r'"\\u0000([-+.0-9eE]+)"')


def as_table(answers: Sequence[CachedAnswer]) -> str:
    """Return one line for each answer."""
    return printable(table(_HEAD, [_line(answer) for answer in answers], right=(3, 4, 5, 6, 7)))


def as_document(answer: CachedAnswer) -> dict[str, Any]:
    """Return one answer for a script: times in milliseconds, sizes in bytes, no body."""
    entry = answer.entry
    return {
        "key": answer.found.key,
        "query": answer.query,
        "parameters": _parameters(answer),
        "state": answer.state.value,
        "state_left_ms": answer.left_ms,
        "age_ms": answer.age_ms,
        "load_ms": entry.load_ms if entry else None,
        "kept_ms": answer.found.left_ms,
        "last_read_s": answer.found.idle_s,
        "stored_bytes": answer.found.size,
        "unpacked_bytes": answer.unpacked_bytes,
    }


def in_full(answer: CachedAnswer, lease: bytes | None, lease_ms: int) -> dict[str, Any]:
    """Return everything about one answer but its body."""
    entry, question = answer.entry, answer.question
    document = as_document(answer)
    if entry is not None:
        document |= {
            "created": _moment(entry.created_ms),
            "fresh_until": _moment(entry.fresh_until_ms),
            "etag": entry.etag.hex(),
            "question": entry.question.hex(),
            "encoding": entry.encoding.value,
            "row": entry.body is not None,
            "stored_under_lease": entry.token.hex(),
        }
    document["lease"] = {"holder": lease.hex(), "left_ms": lease_ms} if lease else None
    if entry is not None and question is not None:
        # A forged entry may have fewer versions than its question has tags.
        versions = zip(question.keys.tags, entry.tag_versions, answer.tag_versions, strict=False)
        document["tags"] = [
            {"key": key, "of_entry": made.hex(), "now": now.hex() if now else None, "moved": made != now}
            for key, made, now in versions
        ]
    return document


def pretty(document: dict[str, Any], body: bytes | None) -> str:
    """Return the document of `in_full` for a person, with the body."""
    tags, lease = document.pop("tags", []), document.pop("lease")
    lines = [f"{_word(document.pop('query'))}  {_text(document.pop('parameters'))}"]
    document.pop("row", None)  # the body tells
    width = max(map(len, document))
    for name, value in document.items():
        words = name.removesuffix("_ms").removesuffix("_s").replace("_", " ")
        lines.append(f"  {words.ljust(width)}  {_plain(name, value)}")
    held = f"held by {lease['holder']} for {duration(lease['left_ms'])}" if lease else "not held"
    lines.append(f"  {'lease'.ljust(width)}  {held}")
    if tags:
        rows = [
            (_word(each["key"]), each["of_entry"], each["now"] or "missing", "moved" * each["moved"]) for each in tags
        ]
        lines += ["", table(("tag", "version in the entry", "version now", ""), rows)]
    if "etag" in document:  # it is an entry
        lines += ["", _indented(body)]
    return printable("\n".join(lines))


def _line(answer: CachedAnswer) -> tuple[str, ...]:
    parameters = _text(_parameters(answer))
    return (
        _word(answer.query),
        parameters if len(parameters) <= _WIDEST else f"{parameters[: _WIDEST - 1]}…",
        answer.state.value,
        duration(answer.left_ms) if answer.left_ms else "–",
        duration(answer.age_ms) if answer.age_ms is not None else "–",
        f"{duration(answer.found.idle_s * 1000)} ago" if answer.found.idle_s is not None else "–",
        f"{answer.found.size:,}",
        f"{answer.unpacked_bytes:,}" if answer.unpacked_bytes is not None else "–",
    )


def _parameters(answer: CachedAnswer) -> dict[str, Any]:
    values: dict[str, Any] = {}
    pairs = parse_qsl(answer.entry.query_string, keep_blank_values=True) if answer.entry else []
    declared = answer.question.query.parameters if answer.question else {}
    for name, given in pairs:
        is_claim = name in declared and declared[name].claim  # a list must not tell who has asked
        value = f"<{len(given)} characters>" if is_claim else given
        values[name] = [*values[name], value] if name in values else [value]
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _text(parameters: dict[str, Any]) -> str:
    given = ((name, [value] if isinstance(value, str) else value) for name, value in parameters.items())
    return _word(" ".join(f"{name}={each}" for name, values in given for each in values))


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name.endswith("_ms"):
        return duration(value) if value >= 0 else "without end"
    if name.endswith("_s"):
        return f"{duration(1000 * value)} ago"
    return f"{value:,}" if isinstance(value, int) else _word(str(value))


def _indented(body: bytes | None) -> str:
    if body is None:
        return "no such row"
    # Through a float, 19.90 would become 19.9.
    document = json.loads(body, parse_float=lambda digits: f"\0{digits}")
    return _NUMBER.sub(r"\1", json.dumps(document, indent=2, ensure_ascii=False))


def _word(text: str) -> str:
    """Others choose parameters, foreign keys and rows. A line break in them must not look like a line of ours."""
    return printable(text, keep="")


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
