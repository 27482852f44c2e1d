"""A handler that does nothing, with our extension: what the extension adds to a sandbox."""

from __future__ import annotations

import os
from typing import Any

from bench.empty_function import do_nothing
from cacheaside.runtime.after_response import AfterResponse, InvocationContext

__all__ = ["handler"]

extension = AfterResponse.start(os.environ)


@extension.wrap
def handler(event: object, context: InvocationContext) -> dict[str, Any]:
    return do_nothing(event, context)
