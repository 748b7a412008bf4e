"""Sends requests of the fuzzer and judges the answers: no server error, no hang, no answer outside the model."""

import contextlib
import http.client
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.parsers import JSONParser

from api import validation
from api.model import OPERATIONS, TARGET_PREFIX, Operation
from benchmarks.endpoint import Endpoint

ANSWER_SECONDS = 20.0
SETTLE_SECONDS = 0.02
"""For an answer to come before our end of the connection closes; the server then has ANSWER_SECONDS for its own."""
SHOWN_BYTES = 2000


class Finding(Exception):
    """What is wrong, and the request that shows it."""

    def __init__(self, what: str, sent: bytes) -> None:
        more = f" and {len(sent) - SHOWN_BYTES} bytes more" if len(sent) > SHOWN_BYTES else ""
        super().__init__(f"{what}\n  sent: {sent[:SHOWN_BYTES]!r}{more}")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class Sender:
    """One kept connection for requests, and one for each conversation of raw bytes."""

    def __init__(self, place: Endpoint) -> None:
        address = urlsplit(place.url)
        self._place = place
        self._address = address.hostname or "", address.port or 80
        self._credentials = place.session().get_credentials().get_frozen_credentials()
        self._connection = http.client.HTTPConnection(*self._address, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def check_request(self, operation: Operation, body: bytes) -> None:
        """Sends a signed request. Raises Finding."""
        try:
            answer = self._send(self._signed(operation.name, body))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Finding(f"{operation.name}: no answer: {error!r}", body) from error
        _judge(operation, answer, body)

    def check_conversation(self, sent: bytes) -> None:
        """Sends bytes over a new connection, then nothing more. Raises Finding unless the server ends it soon."""
        received = b""
        try:
            with socket.create_connection(self._address, timeout=ANSWER_SECONDS) as connection:
                connection.sendall(sent)
                connection.settimeout(SETTLE_SECONDS)
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(65536)
                connection.settimeout(ANSWER_SECONDS)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65536):
                    received += more
        except TimeoutError as error:
            raise Finding("the connection stays open", sent) from error
        except OSError:
            pass  # it was closed before we had sent all, as it may be
        for status in re.findall(rb"HTTP/1\.1 (5\d\d)", received):
            if b"ThrottlingException" not in received:
                raise Finding(f"status {status.decode()}: {received!r}", sent)

    def check_alive(self) -> None:
        """Raises Finding unless a plain request is answered."""
        body = b"{}"
        answer = self._send(self._signed("ListCollections", body))
        if answer.status != 200:
            raise Finding(f"a plain request is answered with {answer.body!r}", body)

    def whole_request(self) -> bytes:
        """The bytes of a signed request, as on the connection."""
        request = self._signed("ListCollections", b"{}")
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        return ("POST / HTTP/1.1\r\n" + "\r\n".join([*lines, "Content-Length: 2"]) + "\r\n\r\n{}").encode()

    def _signed(self, operation: str, body: bytes) -> Any:
        headers = {
            "Host": "{}:{}".format(*self._address),
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": TARGET_PREFIX + operation,
        }
        request = AWSRequest("POST", self._place.url + "/", headers=headers, data=body)
        SigV4Auth(self._credentials, "rekognition", self._place.region).add_auth(request)
        return request

    def _send(self, request: Any) -> Answer:
        self._connection.request("POST", "/", request.data, dict(request.headers.items()))
        response = self._connection.getresponse()
        return Answer(response.status, response.read())


def _judge(operation: Operation, answer: Answer, sent: bytes) -> None:
    if answer.status == 200:
        parsed = JSONParser().parse(
            {"status_code": 200, "headers": {}, "body": answer.body}, OPERATIONS[operation.name].output_shape
        )
        del parsed["ResponseMetadata"]
        if wrong := validation.check_output(operation.name, parsed):
            raise Finding(f"{operation.name}: the answer breaks the model: {wrong}", sent)
    elif b'"__type"' not in answer.body:
        raise Finding(f"{operation.name}: an error without its code: {answer.status} {answer.body!r}", sent)
    elif answer.status >= 500 and b'"ThrottlingException"' not in answer.body:
        raise Finding(f"{operation.name}: status {answer.status}: {answer.body!r}", sent)
