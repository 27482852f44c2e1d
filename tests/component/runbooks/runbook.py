"""docs/operations.md as its reader uses it: the queries, the SQL and the causes of each section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tests.support.root import ROOT

__all__ = ["PREAMBLE", "SECTIONS", "TEXT", "Section"]

TEXT: Final = (ROOT / "docs" / "operations.md").read_text()


@dataclass(frozen=True)
class Section:
    title: str
    text: str

    @property
    def shell(self) -> list[str]:
        """The commands, as blocks and within sentences."""
        return _blocks(self.text, "sh") + re.findall(r"`((?:ask|by_query|aws) [^`]+)`", self.text)

    @property
    def sql(self) -> list[str]:
        """The statements, as blocks and within sentences."""
        blocks = [each for block in _blocks(self.text, "sql") for each in re.split(r";\n?", block) if each.strip()]
        return blocks + re.findall(r"`((?:select|alter|set|insert) [^`]+?);?`", self.text)

    def queries(self, log_group: str) -> list[str]:
        """The queries of Logs Insights for a log group: `query`, `invalidate`."""
        found = re.findall(rf"ask \"?[^\n']*/{log_group}\"? (?:'([^']+)'|\"\$(\w+)\")", "\n".join(self.shell))
        return [query or _VARIABLES[variable] for query, variable in found]

    @property
    def causes(self) -> list[tuple[str, str]]:
        """The rows of its tables of causes: a cause, and an action."""
        tables = re.findall(r"^\| cause.*\n\|[-|]+\n((?:\|.*\n)+)", self.text, re.MULTILINE)
        rows = "".join(tables).splitlines()
        return [(cause, action) for cause, action in (re.split(r" ?\| ?", row.strip("| "), maxsplit=1) for row in rows)]

    def action(self, *words: str) -> str:
        """Return the action of the one cause that has all these words."""
        [action] = [action for cause, action in self.causes if all(word in cause for word in words)]
        return action


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


_HEAD, *_PARTS = re.split(r"^## ", TEXT, flags=re.MULTILINE)
PREAMBLE: Final = _blocks(_HEAD, "sh")[0]
_VARIABLES: Final = dict(re.findall(r"^(\w+)='(.+)'$", PREAMBLE, re.MULTILINE))
SECTIONS: Final = {part.partition("\n")[0]: Section(*part.split("\n", 1)) for part in _PARTS}
