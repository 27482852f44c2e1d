"""A cache that is reached as ElastiCache is: over TLS, and by users who sign in with IAM tokens.

    client ──TLS──► port 6379, here: AUTH and HELLO are checked, the rest is passed on ──► Valkey, port 7000 on loopback

Valkey has the users and their access strings, without passwords. A client inside the container needs no token: an
emulator of AWS asks from there whether the server is ready, and gives a cluster its slots.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import ssl
import subprocess
import sys
from contextlib import suppress
from typing import Final

from .tokens import Refused, check, names_in

VALKEY: Final = ("127.0.0.1", 7000)
CONNECTION_S: Final = float(os.environ.get("CONNECTION_S", 12 * 3600))
NO_AUTH: Final = b"-NOAUTH Authentication required.\r\n"
WRONG: Final = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


class Cache:
    """Serves the connections of clients to one Valkey."""

    def __init__(self, certificate: str, serverless: bool) -> None:
        self._names = names_in(certificate)
        self._kind = {"ResourceType": "ServerlessCache"} if serverless else {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until its client or Valkey ends it, or until its time is over."""
        valkey_reader, valkey_writer = await asyncio.open_connection(*VALKEY)
        try:
            async with asyncio.timeout(CONNECTION_S):
                if writer.get_extra_info("peername")[0] not in ("127.0.0.1", "::1"):
                    await self._sign_in(reader, writer, valkey_reader, valkey_writer)
                await asyncio.wait(
                    [
                        asyncio.create_task(_pass_on(reader, valkey_writer)),
                        asyncio.create_task(_pass_on(valkey_reader, writer)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        except (OSError, EOFError, ValueError, TimeoutError):
            pass  # the client is gone, or speaks another protocol, or its time is over
        finally:
            writer.close()
            valkey_writer.close()

    async def _sign_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        valkey_reader: asyncio.StreamReader,
        valkey_writer: asyncio.StreamWriter,
    ) -> None:
        """Return when Valkey has accepted the user of a valid token. Until then refuse all commands."""
        while True:
            words = await _command(reader)
            name = words[0].upper()
            if name == b"AUTH" and len(words) == 3:
                user, token, command = words[1], words[2], [b"AUTH", words[1], b"-"]
            elif name == b"HELLO" and len(words) >= 5 and words[2].upper() == b"AUTH":
                user, token, command = words[3], words[4], [*words[:4], b"-", *words[5:]]
            else:
                writer.write(NO_AUTH)
                continue
            if not self._accepts(user.decode(), token.decode()):
                writer.write(WRONG)
                continue
            valkey_writer.write(b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in command))
            reply = await valkey_reader.read(65536)  # a short reply to the only command so far
            writer.write(reply)
            if not reply.startswith(b"-"):
                return

    def _accepts(self, user: str, token: str) -> bool:
        try:
            check(token, "elasticache", {"Action": "connect", "User": user} | self._kind, self._is_ours)
        except Refused as reason:
            print(f"cache: {user} is refused: {reason}", file=sys.stderr, flush=True)
            return False
        return True

    def _is_ours(self, cache_name: str, region: str) -> bool:
        """A certificate has the cache's name, or that of a container which an emulator made from it."""
        suffix = re.compile(rf"(.*-{re.escape(region)}-)?{re.escape(cache_name)}(-\d{{4}})?")
        return any(suffix.fullmatch(name) for name in self._names)


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the words of the next command. Raises ValueError for anything but an array of strings."""
    words = []
    for _ in range(int((await reader.readuntil(b"\r\n")).removeprefix(b"*"))):
        length = int((await reader.readuntil(b"\r\n")).removeprefix(b"$"))
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _serve(cache: Cache, port: int, context: ssl.SSLContext, options: list[str]) -> None:
    valkey = subprocess.Popen(
        ["valkey-server", "--bind", VALKEY[0], "--port", str(VALKEY[1]), "--dir", "/data", "--save", "", *options]
    )
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(*VALKEY)
            writer.close()
            break
        await asyncio.sleep(0.05)
    async with await asyncio.start_server(cache.serve, "0.0.0.0", port, ssl=context):  # noqa: S104  # in a container
        await asyncio.to_thread(valkey.wait)


def main() -> None:
    """Take the options with which an emulator of AWS starts a cache. Those that are not about TLS are for Valkey."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("port", "tls-ca-cert-file", "tls-auth-clients", "tls-replication", "tls-cluster", "protected-mode"):
        parser.add_argument(f"--{option}")  # of a server that speaks TLS itself
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--tls-cert-file", required=True)
    parser.add_argument("--tls-key-file", required=True)
    parser.add_argument("--cluster-announce-tls-port")  # of a serverless cache, which is a cluster of one node
    given, options = parser.parse_known_args()
    if given.cluster_announce_tls_port:
        options += ["--cluster-announce-port", given.cluster_announce_tls_port]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.tls_cert_file, given.tls_key_file)
    cache = Cache(given.tls_cert_file, serverless=given.cluster_announce_tls_port is not None)
    asyncio.run(_serve(cache, given.tls_port, context, options))


if __name__ == "__main__":
    main()
