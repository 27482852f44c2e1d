"""A proxy in front of a cache that reads its protocol, so that a fault meets single commands and single replies.

A server's kernel takes the bytes of a client that has given up, and the server still runs the commands in them. So does
this proxy: it reads ahead of the commands that it forwards, and forwards them also when the client is gone.

The protocol is RESP2: https://valkey.io/topics/protocol/
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from local.servers.processes import HOST

__all__ = ["CacheProxy", "ProxyFault"]

# Close with RST instead of FIN, as a kernel does for a process that died.
_RESET: Final = struct.pack("ii", 1, 0)
_MET: Final = ("commands slowed", "commands delayed", "replies delayed", "replies lost")
_GONE: Final = (ConnectionError, asyncio.IncompleteReadError)


@dataclass(frozen=True, slots=True)
class ProxyFault:
    """What happens to commands and replies. Shares are probabilities, drawn for each of them by itself.

    A pipeline, which is the commands that arrived together, takes the sum of their times, and reaches the server then.
    """

    command_s: float = 0.0  # the time that each command takes
    late_s: float = 0.3
    late_commands: float = 0.0  # perhaps after what the client sent later, on another connection
    late_replies: float = 0.0
    lost_replies: float = 0.0  # the command has run; half of its reply arrives, then the connection is reset


class CacheProxy:
    """Forwards between clients and the server at `server_port`, in a thread of its own, within a `with` block.

    `fault` applies to all connections at once. `commands` and `replies` are the numbers that passed so far, `met` how
    many of them a fault slowed, delayed or lost. `round_trips` is how often commands came when no reply was due: of one
    client, the number of times it waited for the server.
    """

    def __init__(self, server_port: int) -> None:
        self.fault = ProxyFault()
        self.commands = 0
        self.replies = 0
        self.round_trips = 0
        self.met = dict.fromkeys(_MET, 0)
        self.port = 0  # chosen at the start
        self._server_port = server_port
        self._clients: set[asyncio.StreamWriter] = set()
        self._refusing = socket.socket()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def refuse(self) -> None:
        """Reset all connections, and refuse new ones until the block ends, like the port of a dead server."""
        self._run(self._refuse())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        self._listener.close()
        # Bound, so that no other process can take the port. Not listening, so it refuses.
        self._refusing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._refusing.bind((HOST, self.port))
        for client in self._clients:
            _reset(client)

    async def _end(self) -> None:
        self._listener.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._refusing.close()

    async def _serve(self, client_sent: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_sent, server = await asyncio.open_connection(HOST, self._server_port)
        except OSError:
            _reset(client)
            return
        self._clients.add(client)
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        with suppress(asyncio.CancelledError):  # by `_end`, and no error, though asyncio would report it
            await asyncio.gather(
                _read_commands(client_sent, waiting),
                self._forward_commands(waiting, server),
                self._forward_replies(server_sent, client),
            )
        self._clients.discard(client)
        client.close()
        server.close()

    async def _forward_commands(self, waiting: asyncio.Queue[bytes | None], server: asyncio.StreamWriter) -> None:
        while command := await waiting.get():
            pipeline = [command]
            while not waiting.empty() and (command := waiting.get_nowait()):
                pipeline.append(command)
            late = sum(random.random() < self.fault.late_commands for _ in pipeline)
            slow_s = self.fault.command_s
            await asyncio.sleep(slow_s * len(pipeline) + self.fault.late_s * late)
            self.round_trips += self.commands == self.replies
            self.commands += len(pipeline)
            self.met["commands slowed"] += len(pipeline) * (slow_s > 0)
            self.met["commands delayed"] += late
            server.write(b"".join(pipeline))
            if command is None:
                break
        with suppress(OSError):
            server.write_eof()

    async def _forward_replies(self, server_sent: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(*_GONE):
            while True:
                reply = await _read_value(server_sent)
                self.replies += 1
                if random.random() < self.fault.late_replies:
                    self.met["replies delayed"] += 1
                    await asyncio.sleep(self.fault.late_s)
                if client.is_closing():
                    continue
                if random.random() < self.fault.lost_replies:
                    self.met["replies lost"] += 1
                    client.write(reply[: len(reply) // 2])
                    _reset(client)
                else:
                    client.write(reply)
        client.close()  # ends `_read_commands`


async def _read_commands(client_sent: asyncio.StreamReader, waiting: asyncio.Queue[bytes | None]) -> None:
    """Put each command into `waiting`, and None when the client has closed the connection."""
    with suppress(*_GONE):
        while True:
            waiting.put_nowait(await _read_value(client_sent))
    waiting.put_nowait(None)


async def _read_value(sent: asyncio.StreamReader) -> bytes:
    """Return the bytes of one value of RESP2, which a command and a reply are. An array holds further values."""
    line = await sent.readuntil(b"\r\n")
    kind, length = line[:1], line[1:-2]
    if kind == b"$" and length != b"-1":
        return line + await sent.readexactly(int(length) + 2)
    if kind == b"*" and length != b"-1":
        return line + b"".join([await _read_value(sent) for _ in range(int(length))])
    return line


def _reset(client: asyncio.StreamWriter) -> None:
    client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.transport.abort()
