"""Kept connections to a server that closes, is silent, breaks off or is not there."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from inference import connections
from inference.connections import Answer, Connections, NobodyListens

HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


class FakeServer:
    """A fake for a model server: gives one prepared answer after the other, and notes what came."""

    def __init__(self, path: Path, answers: list[bytes], size: int) -> None:
        self.url, self.requests, self.connections = f"unix://{path}", list[bytes](), 0
        self._answers, self._size = answers, size
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self._answers:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with accepted, suppress(BrokenPipeError):  # who asked has hung up
                self._answer(accepted)

    def _answer(self, accepted: socket.socket) -> None:
        while self._answers:
            request = b""
            while len(request.partition(b"\r\n\r\n")[2]) < self._size or b"\r\n\r\n" not in request:
                if not (data := accepted.recv(1 << 20)):
                    return
                request += data
            self.requests.append(request)
            answer = self._answers.pop(0)
            for byte in range(len(answer)):
                accepted.sendall(answer[byte : byte + 1])
            if b"close" in answer or b"\r\n\r\n" not in answer:
                return


Serve = Callable[..., FakeServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[FakeServer] = []

    def start(*answers: bytes, size: int = 0) -> FakeServer:
        started.append(FakeServer(tmp_path / f"{len(started)}.sock", list(answers), size))
        return started[-1]

    yield start
    for server in started:
        server.listener.close()


@contextmanager
def opened(url: str, timeout_seconds: float = 10.0) -> Iterator[Connections]:
    made = Connections(url, timeout_seconds, most_kept=4)
    try:
        yield made
    finally:
        made.close()


def test_one_connection_serves_many_requests(serve: Serve) -> None:
    chunked = b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n1\r\n!\r\n0\r\n\r\n"
    server = serve(HELLO, chunked, b"HTTP/1.1 204 No Content\r\n\r\n", HELLO, size=3)
    with opened(server.url) as made:
        found = [made.request("POST", f"/{number}?a=b", b"abc", {"x-request-id": "id"}) for number in range(4)]
    assert found == [Answer(200, b"hello"), Answer(404, b"no!"), Answer(204, b""), Answer(200, b"hello")]
    assert server.connections == 1
    assert server.requests[1].startswith(b"POST /1?a=b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n")
    assert server.requests[1].endswith(b"x-request-id: id\r\n\r\nabc")


def test_a_small_request_goes_out_in_one_piece() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # which keeps what one call sends together
    ours.settimeout(5)
    theirs.settimeout(5)
    with ThreadPoolExecutor(1) as thread, ours, theirs:
        answer = thread.submit(connections._Connection(ours).exchange, b"head\r\n\r\n", memoryview(b"body"), math.inf)
        assert theirs.recv(1 << 16) == b"head\r\n\r\nbody"
        theirs.sendall(HELLO)
        assert answer.result(10) == Answer(200, b"hello")


def test_large_bodies_arrive_whole(serve: Serve) -> None:
    body = bytes(range(256)) * 20_000
    server = serve(HELLO, HELLO, size=len(body))
    with opened(server.url) as made:
        for given in (body, memoryview(body)):
            assert made.request("POST", "/", given).status == 200
    assert all(request.endswith(body) for request in server.requests)


def test_a_head_that_finds_no_room_arrives_whole_too() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    head, body = bytes(range(256)) * 2000, b"body" * 50_000
    with ThreadPoolExecutor(1) as thread, ours, theirs:
        for one in (ours, theirs):
            one.settimeout(5)
        answer = thread.submit(connections._Connection(ours).exchange, head, memoryview(body), math.inf)
        received = bytearray()
        while len(received) < len(head) + len(body):
            received += theirs.recv(1 << 16)
        theirs.sendall(HELLO)
        assert answer.result(10) == Answer(200, b"hello")
    assert received == head + body


def test_a_connection_that_the_server_closes_is_not_used_again(serve: Serve) -> None:
    closing = HELLO.replace(b"content", b"connection: close\r\ncontent")
    server = serve(closing, HELLO, b"", HELLO)
    with opened(server.url) as made:
        assert [made.request("GET", "/").status for _ in range(2)] == [200, 200]
        with pytest.raises(ConnectionResetError):
            made.request("GET", "/")
        assert made.request("GET", "/").status == 200
    assert server.connections == 3 and len(server.requests) == 4, "nothing is sent twice"


def test_a_kept_connection_that_ends_at_rest_is_replaced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    first = serve(HELLO)
    with opened(first.url) as made:
        made.request("GET", "/")
        time.sleep(0.05)  # it has no more answers, so it hangs up
        first.listener.close()
        Path(first.url.removeprefix("unix://")).unlink()
        with pytest.raises(NobodyListens):
            made.request("GET", "/")
    monkeypatch.setattr(connections, "_KEPT_SECONDS", 0.0)
    rested = serve(HELLO, HELLO)
    with opened(rested.url) as made:
        # The second comes over a connection of its own; the first one's end frees the server for it.
        assert [made.request("GET", "/").status for _ in range(2)] == [200, 200]
    assert rested.connections == 2


def test_silence_and_nonsense_are_errors(serve: Serve) -> None:
    with opened(serve(b"HTTP/1.1 200 OK\r\n", size=0).url, timeout_seconds=0.2) as made, pytest.raises(OSError):
        made.request("GET", "/")
    talker = serve(b"SMTP ready, and much more than that to say\r\n\r\n")
    with opened(talker.url) as made, pytest.raises(ConnectionError, match="not an answer in HTTP"):
        made.request("GET", "/")
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    with silent, opened(url, timeout_seconds=0.1) as made, pytest.raises(TimeoutError):
        made.request("GET", "/")


def test_threads_have_a_connection_each(tmp_path: Path) -> None:
    both = threading.Barrier(2)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(1000)
            both.wait(10)
            accepted.sendall(HELLO)

    with listener, ThreadPoolExecutor(4) as threads:
        servers = [threads.submit(answer) for _ in range(2)]
        with opened(f"http://127.0.0.1:{listener.getsockname()[1]}") as made:
            found = list(threads.map(lambda _: made.request("GET", "/"), range(2)))
        assert found == [Answer(200, b"hello")] * 2
        for server in servers:
            server.result(10)
