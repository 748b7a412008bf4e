"""One client's connection: uvicorn's, with bounds on what is not a body.

A request's body is bounded where it is read. Its head, chunk headers and trailers are bounded here, and the time that a
head may take; uvicorn itself would gather them without end, before anybody is known to have signed anything.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES_BESIDE_BODIES = 512 * 1024
"""Of one request; and once more as much as its body, for that comes in chunks."""
HEAD_SECONDS = 60.0
"""From the first byte that is expected to the end of the head."""


class Connection(HttpToolsProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._received = self._received_of_body = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._cycles: list[Any] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._leave_alone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._received += len(data)
        if self._received - 2 * self._received_of_body > MOST_BYTES_BESIDE_BODIES and not self.transport.is_closing():
            self.send_400_response("The request has too many bytes beside its body.")

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        self._leave_alone()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._received = self._received_of_body = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._stop_waiting()
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete] + [self.cycle]
        if self.scope["method"] == "POST":  # the answer to HEAD has no body
            self.cycle.transport = cast(asyncio.Transport, _HeadWithBody(self.cycle))

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._received_of_body += len(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._received = self._received_of_body = 0

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()

    def _leave_alone(self) -> None:
        """Of several requests on one connection, uvicorn tells only the last that the connection is gone."""
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()


class _HeadWithBody:
    """The transport of one request, which sends the head of its answer together with the first of the body.

    uvicorn makes two system calls of it, and two packets, for both of which the client wakes up.
    """

    def __init__(self, cycle: Any) -> None:
        self._cycle, self._transport = cycle, cycle.transport
        self._head: bytes | None = None
        self.close, self.is_closing = self._transport.close, self._transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head is None and self._cycle.response_started:
            self._head = data
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)
