"""Values of the header of a catalogue's file, as they are written in TOML."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["toml_list", "toml_string"]


def toml_list(texts: Iterable[str]) -> str:
    """Return a list of strings on one line."""
    return f"[{', '.join(map(toml_string, texts))}]"


def toml_string(text: str) -> str:
    """Return a string on one line: a literal one, if that spares the quotes in `text` their backslashes.

    TOML allows no control characters. A name in PostgreSQL may have them.
    """
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in plain) + '"'
