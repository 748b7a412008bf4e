"""A client that hangs up frees the work of its request."""

import base64
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from inference.client import InferenceClient

pytestmark = pytest.mark.alone

WAIT_SECONDS = 20.0


def _wait_until(condition: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + WAIT_SECONDS
        time.sleep(0.01)
    return time.monotonic() - start


def test_hanging_up_frees_the_work(stack: Any, client: Any, collection: str, crowd: bytes) -> None:
    models = InferenceClient(f"unix://{stack.home}/run/inference.sock")
    start = time.monotonic()
    client.index_faces(CollectionId=collection, Image={"Bytes": crowd}, QualityFilter="NONE", ExternalImageId="whole")
    undisturbed = time.monotonic() - start

    image = {"Bytes": base64.b64encode(crowd).decode()}
    body = {"CollectionId": collection, "Image": image, "QualityFilter": "NONE", "ExternalImageId": "given-up"}
    place = urlsplit(stack.endpoint)
    with socket.create_connection((place.hostname, place.port)) as caller:
        caller.sendall(_signed(client, stack, "IndexFaces", json.dumps(body).encode()))
        _wait_until(lambda: models.status()["waiting"]["face_embedder"] > 50)
    assert _wait_until(lambda: models.status()["pictures_in_work"] == 0) < undisturbed / 2
    assert models.status()["waiting"]["face_embedder"] == 0
    assert client.describe_collection(CollectionId=collection)["FaceCount"] == 100
    assert "operation=IndexFaces status=499 error=ClientClosedRequest" in stack.api_log(), "not an error of ours"


def _signed(client: Any, stack: Any, operation: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
    request = AWSRequest("POST", stack.endpoint + "/", headers=headers, data=body)
    SigV4Auth(client._request_signer._credentials, "rekognition", stack.region).add_auth(request)
    host = urlsplit(stack.endpoint).netloc
    lines = ["POST / HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
