"""An explanation as text, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cacheaside.catalogue.parameters import to_query_string
from cacheaside.catalogue.policy import Policy
from cacheaside.catalogue_check.facts import DatabaseObject, ObjectKind
from cacheaside.drivers.postgres.queries import message_parts
from local.examples import path_of
from local.explain.explanation import Explanation
from local.explain.plan import QUERY_ROLE
from local.explain.row_tags import RowTag
from local.explain.timeline import timeline
from local.live.durations import duration
from local.live.invalidation import body_of_question, body_of_tags
from local.terminal import printable

__all__ = ["as_document", "as_text"]


def as_text(explained: Explanation) -> str:
    """Return the explanation for a person."""
    question, query = explained.question, explained.question.query
    settings, sql = message_parts(question, query.timeout_ms)
    keys = question.keys
    sections: list[tuple[str, Sequence[str]]] = [
        (f"{query.name}: {query.summary}", [f"GET {_path(explained)}"]),
        ("SQL, as it is sent", [settings.strip(), *sql.splitlines()]),
        (_plan_title(explained), explained.plan.lines),
        ("It reads", _aligned([_object(each) for each in _objects(explained)])),
        (
            "Keys in the cache",
            _aligned([("entry", keys.entry), ("lease", keys.lease), *(("tag", t) for t in keys.tags)]),
        ),
        ("Tags of rows", _aligned([_row_tag(each) for each in explained.row_tags])),
        ("How long its answer is used", [*timeline(query.policy).splitlines(), "", *_limits(query.policy)]),
        ("What invalidates it", [*_aligned(explained.changes), *_requests(explained)]),
        ("Wrong", explained.problems),
    ]
    shown = [(title, lines) for title, lines in sections if lines]
    text = "\n\n".join("\n".join([title, *(f"  {line}".rstrip() for line in lines)]) for title, lines in shown)
    return printable(text, keep="\n\t")


def as_document(explained: Explanation) -> dict[str, Any]:
    """Return the explanation for a script: times in milliseconds."""
    question, plan, policy = explained.question, explained.plan, explained.question.query.policy
    settings, sql = message_parts(question, question.query.timeout_ms)
    return {
        "query": question.query.name,
        "summary": question.query.summary,
        "request": f"GET {_path(explained)}",
        "sql": {"settings": settings.strip(), "query": sql},
        "plan": {
            "role": None if plan.not_as_role else QUERY_ROLE,
            "cost": plan.cost,
            "rows": plan.rows,
            "lines": list(plan.lines),
        },
        "reads": [
            {"tag": each.tag, "kind": each.kind.value, "recorded": each.recorded} for each in _objects(explained)
        ],
        "keys": {"entry": question.keys.entry, "lease": question.keys.lease, "tags": list(question.keys.tags)},
        "row_tags": [each._asdict() for each in explained.row_tags],
        "policy": {name: value for name, value in policy._asdict().items() if name.endswith("_ms")}
        | {"timeout_ms": question.query.timeout_ms},
        "invalidated_by": dict(explained.changes),
        "problems": explained.problems,
    }


def _path(explained: Explanation) -> str:
    question = explained.question
    declared = question.query.parameters
    sent = to_query_string({name: value for name, value in question.values.items() if not declared[name].claim})
    return path_of(question.query.name, {}) + (f"?{sent}" if sent else "")


def _plan_title(explained: Explanation) -> str:
    plan, who = explained.plan, f"as {QUERY_ROLE}"
    if plan.not_as_role:
        who = f"as this session, which cannot act as {QUERY_ROLE} ({plan.not_as_role})"
    return f"Plan, {who}: cost {plan.cost:,.2f}, rows expected {plan.rows:,}"


def _objects(explained: Explanation) -> list[DatabaseObject]:
    facts = explained.facts
    return [*facts.read.values(), *facts.opaque.values()] if facts else []


def _object(each: DatabaseObject) -> tuple[str, str]:
    if each.kind is ObjectKind.FUNCTION:
        return each.tag, "a function that hides what it reads"
    columns = ", ".join(f"{part.name} {part.type}" for part in each.key)
    key = f"primary key ({columns})" if columns else "no primary key"
    return each.tag, f"{each.kind.value}, {key}, {'watched' if each.recorded else 'not watched'}"


def _row_tag(each: RowTag) -> tuple[str, str]:
    if each.tag is None:
        return each.table, f"no tag of a row, because {each.objection}"
    if each.declared:
        covers = f"is not enough, because {each.objection}" if each.objection else "covers all rows that are read"
        return each.tag, covers
    if each.objection:
        return each.table, f"{each.tag} would not be enough, because {each.objection}"
    return each.table, f"{each.tag} would do: put it among the tags in place of {each.table}"


def _limits(policy: Policy) -> Iterator[str]:
    if policy.jitter:
        yield f"The ttl is shortened by up to {policy.jitter:.0%} at random, so that answers do not expire together."
    if policy.early_refresh:
        yield "Near its end one request may refresh it early."
    yield f'"No such row" is fresh for {duration(policy.negative_ttl_ms)}.'
    then = "503" if policy.waited_out.value == "503" else "a load of its own"
    yield f"A request waits up to {duration(policy.wait_ms)} for the load of another one, then: {then}."
    if policy.local_ms:
        yield f"A process keeps it in memory for {duration(policy.local_ms)}, where no invalidation reaches it."
    if policy.client_ms:
        yield f"A browser or CDN may keep it for {duration(policy.client_ms)}, where no invalidation reaches it."


def _requests(explained: Explanation) -> list[str]:
    tags = [tag for tag, _ in explained.changes if not tag.endswith(":*")]
    by_tags = [f"POST /invalidations {body_of_tags(tags)}   all answers of these tags"] if tags else []
    return ["", f"POST /invalidations {body_of_question(explained.question)}   this answer", *by_tags]


def _aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name.ljust(width)}  {text}" for name, text in pairs]
