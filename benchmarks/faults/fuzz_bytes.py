"""Bytes on a connection that no decent client sends: broken heads, lengths, chunks, halves, and plain rubbish."""

from collections.abc import Callable

from hypothesis import strategies as st

HEADS = [
    b"GET / HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\n",
    b"POST / HTTP/1.0\r\n",
    b"POST / HTTP/9.9\r\n",
    b"POST /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=%00&X-Amz-Credential=%ff HTTP/1.1\r\n",
    b"POST /?" + b"a=%zz&" * 5000 + b" HTTP/1.1\r\n",
    b"POST /" + b"a" * 60_000 + b" HTTP/1.1\r\n",
    b"POST http://elsewhere/ HTTP/1.1\r\n",
    b"POST //\xff\xfe HTTP/1.1\r\n",
    b"POST /%ff%00 HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT example:443 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
]
HEADERS = [
    b"Host: x\r\n",
    b"Content-Type: application/x-amz-json-1.1\r\n",
    b"X-Amz-Target: RekognitionService.ListCollections\r\n",
    b"X-Amz-Target: RekognitionService.DetectFaces\r\n",
    b"X-Amz-Target: RekognitionService.\xff\xfe\r\n",
    b"X-Amz-Target: " + b"." * 50_000 + b"\r\n",
    b"Authorization: AWS4-HMAC-SHA256 Credential=\xff/2/3/4/5, SignedHeaders=host;;\xe9, Signature=\xff\r\n",
    b"Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host,Signature=x\r\n",
    b"Authorization: AWS4-" + b"," * 50_000 + b"\r\n",
    b"X-Amz-Date: 20990231T999999Z\r\n",
    b"X-Amz-Date: Sun, 99 Foo 99999999999 GMT\r\n",
    b"Date: Mon, 01 Jan 0000 00:00:00 +0000\r\n",
    b"X-Amz-Security-Token: \xff\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 2\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: +2\r\n",
    b"Content-Length: 1e3\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length: 9223372036854775807\r\n",
    b"Content-Length: 99999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: the unexpected\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b" folded: line\r\n",
    b"no colon\r\n",
    b": no name\r\n",
    b"Nul: \0\r\n",
    b"X: " + bytes(range(128, 256)) + b"\r\n",
    b"Y: y\r\n" * 1000,
]
BODIES = [
    b"",
    b"{}",
    b"{",
    b"{}" * 50,
    b"2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n",
    b"-1\r\n{}\r\n",
    b"ffffffffffffffffff\r\n{}\r\n",
    b"2;" + b"x" * 5000 + b"\r\n{}\r\n0\r\n\r\n",
    b"0\r\nTrailer: x\r\n\r\n",
    b"zz\r\n",
]


def conversations(valid: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    """What is sent over one connection. `valid()` is a whole signed request, the start of mutations and the company of
    rubbish."""
    assembled = st.builds(
        lambda head, headers, end, body: head + b"".join(headers) + end + body,
        st.sampled_from(HEADS),
        st.lists(st.sampled_from(HEADERS), max_size=8),
        st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b""]),
        st.sampled_from(BODIES),
    )
    damaged = st.builds(_damaged, st.integers(0, 2000), st.integers(0, 50), st.binary(max_size=20)).map(
        lambda damage: damage(valid())
    )
    with_header = st.sampled_from(HEADERS).map(lambda header: valid().replace(b"\r\n", b"\r\n" + header, 1))
    halves = st.integers(1, 2000).map(lambda length: valid()[:length])
    pipelined = st.builds(
        lambda before, count, after: valid() * before + after + valid() * count,
        st.integers(1, 20),
        st.integers(0, 3),
        assembled | st.just(b""),
    )
    return st.one_of(assembled, damaged, with_header, halves, pipelined, st.binary(max_size=300))


def _damaged(at: int, drop: int, splice: bytes) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        place = at % len(data)
        return data[:place] + splice + data[place + drop :]

    return damage
