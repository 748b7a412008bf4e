"""The model server's synchronous client, used by the API and the workers. Safe to share between threads.

Pictures are JPEG or PNG files, or frames of a video, which are sent as they are: uint8 [H, W, 3] RGB, upright. Frames
may be of any size up to `max_side` of the request and images.MAX_PIXELS.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import urlencode

from inference import errors, raw_frames, wire
from inference.connections import Answer, Connections, NobodyListens
from inference.pipelines.request import (
    FacesRequest,
    LabelsRequest,
    ModerationRequest,
    PersonsRequest,
    PictureRequest,
    ProtectiveEquipmentRequest,
    TextRequest,
)
from inference.types import (
    Embedding,
    FacesResult,
    LabelsResult,
    ModerationResult,
    PersonsResult,
    Pixels,
    ProtectiveEquipmentResult,
    TextResult,
)

# A server that ended is started again within this time.
PATIENCE_SECONDS = 3.0
PAUSE_SECONDS = 0.05


class InferenceClient:
    def __init__(
        self,
        url: str,
        timeout_seconds: float = 60.0,
        most_kept: int = 64,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """`url`: unix:///path of a socket, or http://host:port. Pictures wait up to `patience_seconds` for a server
        to be there; they are not sent again if it ends while it has them, which may be their doing."""
        self._patience_seconds = patience_seconds
        self._connections = Connections(url, timeout_seconds, most_kept)

    def faces(
        self,
        image: bytes | Pixels,
        *,
        embed: str = "none",
        quality: str = "none",
        max_faces: int | None = None,
        min_side: int = 80,
        face_model_version: str | None = None,
        attributes: tuple[str, ...] = (),
        crops: bool = False,
        request_id: str = "",
    ) -> FacesResult:
        """Finds the faces of a picture; the parameters but `request_id` are FacesRequest's.

        Raises InvalidImage, ImageTooSmall, ImageDimensionsTooLarge, UnknownFaceModel, Overloaded, CallerGone
        (after take_back of its `request_id`), InferenceUnavailable.
        """
        asked = FacesRequest(
            embed=embed,
            quality=quality,
            max_faces=max_faces,
            min_side=min_side,
            face_model_version=face_model_version,
            attributes=attributes,
            crops=crops,
        )
        return wire.decode_faces(self._ask(asked, image, request_id))

    def labels(
        self,
        image: bytes | Pixels,
        *,
        labels: bool = True,
        min_confidence: float = 55.0,
        properties: bool = False,
        max_colors: int = 10,
        min_side: int = 80,
        request_id: str = "",
    ) -> LabelsResult:
        """What a picture shows; the parameters but `request_id` are LabelsRequest's.

        Raises InvalidImage, ImageTooSmall, ImageDimensionsTooLarge, Overloaded, CallerGone (after take_back of its
        `request_id`), InferenceUnavailable.
        """
        asked = LabelsRequest(
            labels=labels,
            min_confidence=min_confidence,
            properties=properties,
            max_colors=max_colors,
            min_side=min_side,
        )
        return wire.decode_labels(self._ask(asked, image, request_id))

    def embed_crops(self, crops: Sequence[bytes], face_model_version: str) -> list[Embedding]:
        """The embeddings of aligned faces, PNG files as the `crops` of `faces`: at most server.CROPS_PER_REQUEST.

        Raises InvalidImage, UnknownFaceModel, Overloaded, InferenceUnavailable.
        """
        target = f"/embeddings?{urlencode({'face_model_version': face_model_version})}"
        return wire.decode_embeddings(self._send("POST", target, wire.encode(list(crops))).body)

    def moderation(self, image: bytes | Pixels, *, min_side: int = 80, request_id: str = "") -> ModerationResult:
        """The moderation labels of a picture. Raises what `faces` raises but UnknownFaceModel."""
        return wire.decode_moderation(self._ask(ModerationRequest(min_side=min_side), image, request_id))

    def text(self, image: bytes | Pixels, *, min_side: int = 80, request_id: str = "") -> TextResult:
        """Finds the text of a picture. Raises what `faces` does, but UnknownFaceModel."""
        return wire.decode_text(self._ask(TextRequest(min_side=min_side), image, request_id))

    def protective_equipment(self, image: bytes | Pixels, *, request_id: str = "") -> ProtectiveEquipmentResult:
        """The persons of a picture and what they wear. Raises what `faces` raises but UnknownFaceModel."""
        return wire.decode_protective_equipment(self._ask(ProtectiveEquipmentRequest(), image, request_id))

    def persons(
        self,
        image: bytes | Pixels,
        *,
        face_model_version: str | None = None,
        min_side: int = 80,
        request_id: str = "",
    ) -> PersonsResult:
        """The bodies and faces of a picture, for following people over time. Raises what `faces` does."""
        asked = PersonsRequest(face_model_version=face_model_version, min_side=min_side)
        return wire.decode_persons(self._ask(asked, image, request_id))

    def take_back(self, request_id: str) -> None:
        """Has the work of a request dropped whose caller has gone; no matter whether it goes on. Never raises."""
        with suppress(OSError):
            self._connections.request("DELETE", f"/requests/{request_id}")

    def status(self) -> dict[str, Any]:
        """What the server has loaded and how busy it is. Raises InferenceUnavailable."""
        answer: dict[str, Any] = json.loads(self._send("GET", "/status").body)
        return answer

    def close(self) -> None:
        self._connections.close()

    def _ask(self, asked: PictureRequest, image: bytes | Pixels, request_id: str) -> bytes:
        """The answer to a picture. Raises what the server refused it with, InferenceUnavailable."""
        headers = {"x-request-id": request_id} | ({} if isinstance(image, bytes) else raw_frames.headers(image))
        body = image if isinstance(image, bytes) else raw_frames.content(image)
        give_up = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self._send("POST", _target(asked), body, headers).body
            except errors.InferenceUnavailable as error:
                if not isinstance(error.__cause__, NobodyListens) or time.monotonic() > give_up:
                    raise
            time.sleep(PAUSE_SECONDS)

    def _send(
        self, method: str, target: str, body: bytes | memoryview = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        try:
            answer = self._connections.request(method, target, body, headers)
        except OSError as error:
            raise errors.InferenceUnavailable(f"the model server does not answer: {error}") from error
        if answer.status != 200:
            _raise(answer)
        return answer


@lru_cache
def _target(asked: PictureRequest) -> str:
    return f"/{asked.task}?{urlencode(asked.to_query())}"


def _raise(answer: Answer) -> NoReturn:
    try:
        refusal = json.loads(answer.body)
        kind = getattr(errors, refusal["error"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise errors.InferenceUnavailable(f"the model server answered HTTP {answer.status}") from error
    if kind is errors.ImageDimensionsTooLarge:
        raise kind(refusal["width"], refusal["height"], refusal["limit"])
    raise kind(refusal["message"])
