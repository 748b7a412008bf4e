"""Kept HTTP connections to one server, for threads that wait for its answers.

A call is made for every picture, frame and search, and a general HTTP client takes many times the processor time of
this: httptools reads the answers, and nothing else is done (docs/decisions/0003).
"""

import math
import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

# uvicorn closes a connection over which nothing came for five seconds; none of ours shall be used at that moment.
_KEPT_SECONDS = 4.0
_RECEIVED_BYTES = 256 << 10


class NobodyListens(ConnectionError):
    """No connection could be made, so nothing was sent."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class Connections:
    """To a server at unix:///path of a socket, or http://host:port; up to `most_kept` are kept. Thread-safe."""

    def __init__(self, url: str, timeout_seconds: float, most_kept: int) -> None:
        """`timeout_seconds` is how long the server may take to be connected to, say nothing, or take nothing in."""
        self._address = urlsplit(url)
        self._host = self._address.netloc or "localhost"
        self._timeout_seconds = timeout_seconds
        self._most_kept = most_kept
        self._resting: deque[_Connection] = deque()

    def request(
        self,
        method: str,
        target: str,
        body: bytes | memoryview = b"",
        headers: Mapping[str, str] | None = None,
        *,
        silence_seconds: float | None = None,
        deadline: float = math.inf,
    ) -> Answer:
        """The server's answer, whatever its status. Nothing is sent twice.

        The server may be silent for `silence_seconds`, else `timeout_seconds`, and go on answering until `deadline` by
        time.monotonic(). Raises NobodyListens, TimeoutError, and OSError when the server went away.
        """
        fields = {"host": self._host, "content-length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        connection = self._rested() or _Connection(self._opened())
        try:
            connection.socket.settimeout(self._timeout_seconds if silence_seconds is None else silence_seconds)
            answer = connection.exchange(head, body, deadline)
        except BaseException:
            connection.socket.close()
            raise
        if connection.may_be_kept and len(self._resting) < self._most_kept:
            self._resting.append(connection)
        else:
            connection.socket.close()
        return answer

    def close(self) -> None:
        """Closes the connections that are not in use."""
        while self._resting:
            self._resting.pop().socket.close()

    def _rested(self) -> "_Connection | None":
        """A kept connection that the server has not closed, the one used last."""
        while self._resting:
            try:
                connection = self._resting.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.is_fresh():
                return connection
            connection.socket.close()
        return None

    def _opened(self) -> socket.socket:
        try:
            if self._address.scheme == "unix":
                opened = socket.socket(socket.AF_UNIX)
                opened.settimeout(self._timeout_seconds)
                opened.connect(self._address.path)
                return opened
            there = self._address.hostname or "", self._address.port or 80
            opened = socket.create_connection(there, self._timeout_seconds)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
        except OSError as error:
            raise NobodyListens(str(error)) from error


class _Connection:
    """One connection, used by one thread at a time. `may_be_kept`: the server goes on listening after its answer."""

    may_be_kept = False

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._used_at = time.monotonic()
        self._closing = select.poll()
        self._closing.register(opened, select.POLLIN)

    def is_fresh(self) -> bool:
        """Whether the server still listens: it says nothing of its own accord but that it does not."""
        return time.monotonic() - self._used_at < _KEPT_SECONDS and not self._closing.poll(0)

    def exchange(self, head: bytes, body: bytes | memoryview, deadline: float) -> Answer:
        """Raises OSError."""
        self._send(head, body)
        received = _Received()
        try:
            while not received.complete:
                data = self.socket.recv(_RECEIVED_BYTES)
                if not data:
                    raise ConnectionResetError("closed before the end of the answer")
                received.parser.feed_data(data)
                if time.monotonic() > deadline:
                    raise TimeoutError("it goes on answering for too long")
        except httptools.HttpParserError as error:
            raise ConnectionError(f"not an answer in HTTP: {error}") from error
        self.may_be_kept = received.keep_alive
        self._used_at = time.monotonic()
        return Answer(received.parser.get_status_code(), b"".join(received.parts))

    def _send(self, *parts: bytes | memoryview) -> None:
        """One system call, for which the server wakes up once, and more for what it has no room for yet."""
        sent = self.socket.sendmsg(parts)
        for part in parts:
            if sent < len(part):
                self.socket.sendall(memoryview(part)[sent:])
            sent = max(sent - len(part), 0)


class _Received:
    """What the parser finds in an answer."""

    def __init__(self) -> None:
        self.complete = self.keep_alive = False
        self.parts: list[bytes] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.complete = True
        # The parser forgets it when the next answer may begin.
        self.keep_alive = self.parser.should_keep_alive()
