"""The response to a command: the answer of the committed write, and whether its invalidation is done."""

from __future__ import annotations

from cacheaside.catalogue.statements import Command
from cacheaside.errors import NotFound
from cacheaside.http.documents import JSON
from cacheaside.http.messages import Response
from cacheaside.writing.writer import Written

__all__ = ["confirm"]


def confirm(command: Command, written: Written) -> Response:
    """Return 200 for a committed write: its answer, and whether the old answers are invalidated.

    Raises NotFound, with its headers, if the command found no row.
    """
    headers = {"Cache-Control": "no-store", **({"Idempotency-Replayed": "true"} if written.replayed else {})}
    if written.body is None:
        raise NotFound(f"{command.name} found no row for these parameters", headers)
    body = f'{written.body.decode().removesuffix("}")},"invalidation":"{written.invalidation.value}"}}'
    return Response(200, {"Content-Type": JSON, **headers}, body)
