"""GET /docs: the catalogue and the problems as HTML, for people. Programs use GET /openapi.json."""

from __future__ import annotations

import json
from html import escape
from typing import Any
from urllib.parse import urlencode

from cacheaside.catalogue.catalogue import Catalogue
from cacheaside.catalogue.parameters import Parameter, canonical
from cacheaside.catalogue.statements import Command, Query, Statement
from cacheaside.http.problems import PROBLEMS
from cacheaside.http.requests import IDEMPOTENCY_KEY
from cacheaside.http.schemas import describe_parameter, jsonable

__all__ = ["documentation_body"]


def documentation_body(catalogue: Catalogue) -> str:
    """Return the HTML of the document's body."""
    parts = [
        '<header><h1>cacheaside</h1><nav><a href="/">page</a> <a href="/openapi.json">openapi.json</a></nav></header>',
        "<h2>Queries</h2><p>An answer comes from the cache while it is fresh, else from PostgreSQL.</p>",
        *(_query(query) for query in catalogue.queries.values()),
        "<h2>Commands</h2><p>Each command is one transaction. After it, the old answers are invalidated.</p>",
        *(_command(command) for command in catalogue.commands.values()),
        "<h2>Problems</h2><p>Errors are <code>application/problem+json</code> (RFC 9457).</p>",
        *(
            f'<section id="{problem.slug}"><h3>{problem.status} {escape(problem.title)}</h3>'
            f"<p>{escape(problem.explanation)}</p></section>"
            for problem in PROBLEMS
        ),
    ]
    return f'<main class="docs">{"".join(parts)}</main>'


def _query(query: Query) -> str:
    query_string = urlencode([(name, text) for name, value in _sample(query).items() for text in _texts(value)])
    path = f"/queries/{query.name}{'?' if query_string else ''}{query_string}"
    times = f"fresh for {query.policy.ttl_ms / 1000:g} s, then kept for {query.policy.stale_ms / 1000:g} s"
    return _section(
        query, f"GET /queries/{query.name}", times, f'<a href="{escape(path)}"><code>{escape(path)}</code></a>'
    )


def _command(command: Command) -> str:
    body = {name: jsonable(value) for name, value in _sample(command).items()}
    idempotency = f"can be sent again with the same {IDEMPOTENCY_KEY}"
    return _section(command, f"POST /commands/{command.name}", idempotency, f"<pre>{escape(json.dumps(body))}</pre>")


def _section(statement: Statement, route: str, about: str, sample: str) -> str:
    rows = "".join(_row(parameter) for parameter in statement.parameters.values())
    head = "<tr><th>parameter</th><th>type</th><th>rules</th><th>about</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else "<p>It takes no parameters.</p>"
    return (
        f"<section><h3><code>{escape(route)}</code></h3><p>{escape(statement.summary)}; {escape(about)}.</p>"
        f"{table}<p>{sample}</p></section>"
    )


def _row(parameter: Parameter) -> str:
    facts = describe_parameter(parameter)
    about = facts.pop("description", "")
    cells = [f"<code>{escape(parameter.name)}</code>", escape(facts.pop("type")), escape(_rules(facts)), escape(about)]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _rules(facts: dict[str, Any]) -> str:
    words = ["required"] if facts.pop("required") else []
    return ", ".join(words + [f"{name.replace('_', ' ')} {_words(value)}" for name, value in facts.items()])


def _words(value: Any) -> str:
    return " | ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sample(statement: Statement) -> dict[str, Any]:
    return {
        parameter.name: parameter.example
        for parameter in statement.parameters.values()
        if parameter.example is not None
    }


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(canonical(each)).lower() if isinstance(each, bool) else str(canonical(each)) for each in values]
