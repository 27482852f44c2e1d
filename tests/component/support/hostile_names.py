"""Names of tables and schemas with everything in them that some notation gives a meaning to."""

from __future__ import annotations

from typing import Final

__all__ = ["HOSTILE_NAMES", "quoted"]

# Schema and table. The key's column has the name of the table.
HOSTILE_NAMES: Final = {
    "mixed case": ("public", "InvoiceLine"),
    "reserved word": ("public", "user"),
    "dollar": ("public", "a$b"),
    "dot": ("public", "sales.region"),
    "double quote": ("public", 'a"b'),
    "only quotes": ("public", '""'),
    "single quote": ("public", "o'clock"),
    "space": ("public", "Order Lines"),
    "colon": ("public", "a:1"),
    "comma": ("public", "a,b"),
    "star": ("public", "*"),
    "braces": ("public", "{user}{id}"),
    "parentheses": ("public", "f(x) AND (y = 1)"),
    "backslash": ("public", "a\\b\\"),
    "percent": ("public", "100%s %(id)s %%"),
    "unicode": ("public", "Größe 表 😀"),
    "line break": ("public", "two\nlines\u2028three"),
    "63 bytes": ("public", "É" * 31 + "x"),
    "comment": ("public", "a;--/*"),
    "schema in mixed case": ("Sales", "orders"),
    "reserved schema": ("order", "user"),
    "schema with a dot": ("a.b", "c.d"),
    "schema with a comma": ('a,"b', "c:{id}"),
    "two long names": ('"' * 63, "é" * 31),
}


def quoted(*names: str) -> str:
    """Return an identifier, as SQL takes it."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
