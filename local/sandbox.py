"""The process that a function lives in: `sandbox.py CHANNEL LIFELINE HANDLER`, run by `local.pool`.

As in Lambda, the handler is imported once and then serves one request at a time, and what its modules keep is kept.
The channel is a socket of its own, so that whatever the function prints ends up in its log. Standard library only:
nothing here may change what the function can import.
"""

import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Context:
    aws_request_id: str
    deadline: float
    function_name: str
    function_version: str
    memory_limit_in_mb: str  # text, as the real runtime gives it
    invoked_function_arn: str
    log_group_name: str
    log_stream_name: str
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.time()) * 1000))


def main(channel_fd: int, lifeline_fd: int, handler_name: str) -> None:
    os.set_inheritable(channel_fd, False)
    os.set_inheritable(lifeline_fd, False)
    threading.Thread(target=_end_with_owner, args=[lifeline_fd], daemon=True).start()
    with socket.socket(fileno=channel_fd).makefile("rw", encoding="utf-8", newline="\n") as channel:
        try:
            handler = _load(handler_name)
        except BaseException as error:
            traceback.print_exc()
            print(json.dumps({"error": _described(error)}), file=channel, flush=True)
            return
        print(json.dumps({"ready": True}), file=channel, flush=True)
        for line in channel:
            print(_serve(handler, json.loads(line)), file=channel, flush=True)


def _load(name: str) -> Callable[[Any, Context], Any]:
    module, _, attribute = name.rpartition(".")
    handler: Callable[[Any, Context], Any] = getattr(importlib.import_module(module.replace("/", ".")), attribute)
    return handler


def _serve(handler: Callable[[Any, Context], Any], message: Json) -> str:
    """One line of JSON. An exception is an answer; SystemExit and the like end the sandbox, as in Lambda."""
    try:
        return json.dumps({"result": handler(message["event"], _context(message))})
    except Exception as error:
        traceback.print_exc()
        return json.dumps({"error": _described(error)})


def _context(message: Json) -> Context:
    region, name = os.environ["AWS_REGION"], os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    return Context(
        aws_request_id=message["request_id"],
        deadline=message["deadline"],
        function_name=name,
        function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        invoked_function_arn=f"arn:aws:lambda:{region}:123456789012:function:{name}",
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
    )


def _described(error: BaseException) -> str:
    """The exception and the line it comes from, for one line on the terminal; the log has the whole story."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    written = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" ({written[-1].filename}:{written[-1].lineno})" if written else ""
    return f"{type(error).__name__}: {error}{place}"


def _end_with_owner(lifeline_fd: int) -> None:
    """The other end is closed when the owner has died, however it died."""
    os.read(lifeline_fd, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
