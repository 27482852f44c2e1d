"""The policy of a query as the time line of `cacheaside.catalogue.policy`, with the query's own durations."""

from __future__ import annotations

from typing import Final

from cacheaside.catalogue.policy import Policy
from local.live.durations import duration

__all__ = ["timeline"]

_WIDTH: Final = 26  # of the part between two moments


def timeline(policy: Policy) -> str:
    """Return the lines. The parts have one width, whatever they last."""
    fresh, stale, error = policy.ttl_ms, policy.ttl_ms + policy.stale_ms, policy.ttl_ms + policy.stale_if_error_ms
    moments = sorted({0, fresh, stale, error})
    at = {moment: _WIDTH * index for index, moment in enumerate(moments)}

    labels = _placed({at[moment]: duration(moment) if moment else "loaded" for moment in moments})
    usable = {0: _bar(at[fresh], f"ttl {duration(policy.ttl_ms)}")}
    meaning = {3: "HIT"}
    if policy.stale_ms:
        usable[at[fresh]] = _bar(at[stale] - at[fresh], f"stale {duration(policy.stale_ms)}")
        meaning[at[fresh] + 3] = "STALE, one refreshes"
    lines = [labels, _joined(_placed(usable))]
    if policy.stale_if_error_ms:
        text = f"stale if error {duration(policy.stale_if_error_ms)}"
        lines.append(_placed({0: "│", at[fresh]: _bar(at[error] - at[fresh], text)}))
        if error > stale:
            meaning[at[stale] + 3] = "only if the load fails"
    lines.append(_placed(meaning))
    return "\n".join(lines)


def _bar(width: int, text: str) -> str:
    return f"├{f' {text} '.center(width - 1, '─')}┤"


def _placed(texts: dict[int, str]) -> str:
    line = ""
    for column, text in sorted(texts.items()):
        line = line[:column].ljust(column) + text
    return line


def _joined(line: str) -> str:
    """A bar begins where the last one ends."""
    return line[0] + line[1:].replace("├", "┼")
