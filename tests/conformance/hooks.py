"""Changes the requests of schemathesis where it would always send the same value."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case, __: dict[str, Any]) -> None:
    """Send each command with a key of its own: with the example of the document, all but the first would be refused."""
    if case.headers.get("Idempotency-Key") == "0e37df36-f698-11e6-8dd4-cb9ced3df976":
        case.headers["Idempotency-Key"] = str(uuid4())
