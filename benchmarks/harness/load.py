"""Load on an endpoint, by clients that cost little of the cores they share with it.

Requests are signed by the SDK beforehand and then sent over kept connections as they are. In a *closed loop* each
client sends its next request when it has the answer to the last one. In an *open loop* requests arrive at random, at a
given rate, whatever the endpoint does, and the time an answer takes counts from the request's arrival, also while it
waits for a free client: so a stall is seen by all who would have come meanwhile (Tene, "How not to measure latency").
"""

import json
import random
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools
import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from benchmarks.endpoint import Endpoint

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Load:
    """`seconds` from first to last, `latencies` in seconds of the answers with status 200, `errors` by their type."""

    seconds: float
    latencies: list[float]
    errors: Counter[str]

    def figures(self) -> dict[str, Any]:
        """Answers a second, percentiles in milliseconds (None without an answer), and the errors."""
        p50, p95, p99 = np.percentile(self.latencies, (50, 95, 99)) * 1e3 if self.latencies else (None, None, None)
        return {
            "per_second": len(self.latencies) / self.seconds,
            **{
                name: None if value is None else float(value)
                for name, value in (("p50_ms", p50), ("p95_ms", p95), ("p99_ms", p99))
            },
            "answers": len(self.latencies),
            "errors": self.errors.total(),
            "error_types": dict(self.errors),
        }


def signed(place: Endpoint, operation: str, content: dict[str, Any] | bytes) -> bytes:
    """A whole HTTP request, good for 15 minutes; bytes are its body as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {
        "Host": urlsplit(place.url).netloc,
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"RekognitionService.{operation}",
    }
    request = AWSRequest("POST", place.url + "/", headers=headers, data=body)
    SigV4Auth(place.session().get_credentials(), "rekognition", place.region).add_auth(request)
    request.headers["Content-Length"] = str(len(body))
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    return f"POST / HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body


def closed_loop(place: Endpoint, requests: Iterable[bytes], clients: int, seconds: float | None = None) -> Load:
    """So many clients, until the requests are used up or the time is over; a request under way is waited for."""
    source = _Source(requests)
    end = None if seconds is None else time.perf_counter() + seconds

    def client(connection: "Connection") -> list[tuple[float, str | None]]:
        done = []
        while (end is None or time.perf_counter() < end) and (request := source.next()) is not None:
            begin = time.perf_counter()
            error = connection.exchange(request)
            done.append((time.perf_counter() - begin, error))
        return done

    return _gathered(place, [client] * clients)


def open_loop(
    place: Endpoint,
    requests: Iterable[bytes],
    per_second: float,
    clients: int,
    seed: int = 0,
    seconds: float | None = None,
) -> Load:
    """Requests that arrive as a Poisson process, until they are used up or for so long; at most `clients` are under way
    at once, and the rest wait."""
    draw, arrivals, at = random.Random(seed), [], 0.0
    for request in requests:
        at += draw.expovariate(per_second)
        if seconds is not None and at > seconds:
            break
        arrivals.append((at, request))
    source = _Source(arrivals)
    begin = time.perf_counter()

    def client(connection: "Connection") -> list[tuple[float, str | None]]:
        done = []
        while (arrival := source.next()) is not None:
            due = begin + arrival[0]
            time.sleep(max(0.0, due - time.perf_counter()))
            error = connection.exchange(arrival[1])
            done.append((time.perf_counter() - due, error))
        return done

    return _gathered(place, [client] * clients)


class Connection:
    """One kept HTTP connection, made again when the server closed it."""

    def __init__(self, place: Endpoint) -> None:
        self._address = urlsplit(place.url)
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def exchange(self, request: bytes) -> str | None:
        """None when the answer's status is 200, else the type of the error, or how the connection broke."""
        try:
            self._socket = self._socket or self._opened()
            self._socket.sendall(request)
            answer = _Answer()
            while not answer.complete:
                data = self._socket.recv(1 << 18)
                if not data:
                    raise ConnectionResetError("closed before the end of the answer")
                answer.feed(data)
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            return type(error).__name__
        if not answer.keep_alive:
            self.close()
        return answer.error

    def _opened(self) -> socket.socket:
        host, secure = self._address.hostname or "", self._address.scheme == "https"
        opened = socket.create_connection((host, self._address.port or (443 if secure else 80)), TIMEOUT_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ssl.create_default_context().wrap_socket(opened, server_hostname=host) if secure else opened


class _Answer:
    """What the HTTP parser finds in one answer."""

    def __init__(self) -> None:
        self.complete, self.body = False, b""
        self._parser = httptools.HttpResponseParser(self)
        self.feed = self._parser.feed_data

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete, self.keep_alive = True, self._parser.should_keep_alive()

    @property
    def error(self) -> str | None:
        status = self._parser.get_status_code()
        if status == 200:
            return None
        try:
            return str(json.loads(self.body)["__type"])
        except (ValueError, KeyError, TypeError):
            return f"status {status}"


class _Source:
    """Items for several threads, each once."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items, self._lock = iter(items), threading.Lock()

    def next(self) -> Any:
        with self._lock:
            return next(self._items, None)


def _gathered(place: Endpoint, clients: Sequence[Callable[[Connection], list[tuple[float, str | None]]]]) -> Load:
    def connected(client: Callable[[Connection], list[tuple[float, str | None]]]) -> list[tuple[float, str | None]]:
        with Connection(place) as connection:
            return client(connection)

    begin = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as threads:
        done = [one for some in threads.map(connected, clients) for one in some]
    seconds = time.perf_counter() - begin
    return Load(seconds, [took for took, error in done if error is None], Counter(error for _, error in done if error))
