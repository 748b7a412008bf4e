"""Programs that do a bit of everything for a long time, and count what they are answered."""

import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.endpoint import Endpoint
from benchmarks.harness.load import Connection, signed
from benchmarks.speed.image_operations import OPERATIONS
from benchmarks.speed.images import fresh

MOST_FACES = 40
"""Of a program's collection; then it deletes half of them."""
MOST_JOBS = 2
"""Unfinished ones of a program."""
JOBS: Mapping[str, dict[str, Any]] = {
    "FaceDetection": {},
    "LabelDetection": {},
    "ContentModeration": {},
    "TextDetection": {},
    "PersonTracking": {},
    "CelebrityRecognition": {},
    "SegmentDetection": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]},
}
"""By name without Start and Get: what a request has beside the video."""
MALFORMED, ABORTED = "malformed request", "aborted connection"
REFUSALS = frozenset(
    {
        "AccessDeniedException",
        "IncompleteSignatureException",
        "InvalidImageFormatException",
        "InvalidParameterException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SerializationException",
        "UnknownOperationException",
        "ValidationException",
    }
)
"""Right answers to malformed requests."""
END_SECONDS = 120.0


@dataclass(frozen=True)
class Answered:
    """One call: when it was answered (time.monotonic), after how many seconds, and the error, if it was one."""

    at: float
    seconds: float
    error: str | None


@dataclass
class Tally:
    """What all programs were answered, by operation."""

    answers: defaultdict[str, list[Answered]] = field(default_factory=lambda: defaultdict(list))

    def add(self, operation: str, begun: float, error: str | None) -> None:
        now = time.monotonic()
        self.answers[operation].append(Answered(now, now - begun, error))


@dataclass(frozen=True)
class Material:
    """`pictures` have faces. `video`: the member of that name in requests, None where there are no videos."""

    pictures: Sequence[bytes]
    video: dict[str, Any] | None


class Program:
    """One caller, with a collection of its own."""

    def __init__(
        self, number: int, place: Endpoint, material: Material, mix: Mapping[str, float], tally: Tally
    ) -> None:
        self._place, self._material, self._tally = place, material, tally
        self._draw = random.Random(number)
        self._client = place.client(retries={"total_max_attempts": 1})
        self._collection = f"openrek-bench-soak-{number}"
        self._faces: list[str] = []
        self._jobs: list[tuple[str, str]] = []
        doing = self._doing()
        self._actions = [doing[name] for name in mix]
        self._weights = list(mix.values())

    def work(self, stop: threading.Event) -> None:
        """Until told to stop; then deletes what it made, and waits for its jobs."""
        with suppress(ClientError, BotoCoreError):  # what a run that was killed has left
            self._client.delete_collection(CollectionId=self._collection)
        self._call("CreateCollection", CollectionId=self._collection)
        while not stop.is_set():
            (action,) = self._draw.choices(self._actions, self._weights)
            action()
        self._call("DeleteCollection", CollectionId=self._collection)
        deadline = time.monotonic() + END_SECONDS
        while self._jobs and time.monotonic() < deadline:
            self._look_at_jobs()
            time.sleep(0.2)

    def _doing(self) -> dict[str, Callable[[], object]]:
        images = {name: partial(self._ask_about_a_picture, name) for name in OPERATIONS}
        return {
            **images,
            "SearchFaces": self._search_faces,
            "ListFaces": lambda: self._call("ListFaces", CollectionId=self._collection),
            "DescribeCollection": lambda: self._call("DescribeCollection", CollectionId=self._collection),
            "ListCollections": lambda: self._call("ListCollections"),
            "collection": self._begin_a_collection,
            "user": self._live_a_user,
            "video": self._look_after_videos,
            MALFORMED: self._send_malformed,
            ABORTED: self._abort,
        }

    def _call(self, operation: str, **request: Any) -> Any:
        """The answer, None for an error."""
        begun, answer, error = time.monotonic(), None, None
        try:
            answer = getattr(self._client, xform_name(operation))(**request)
        except ClientError as refused:
            error = str(refused.response["Error"]["Code"])
        except BotoCoreError as broken:
            error = type(broken).__name__
        self._tally.add(operation, begun, error)
        return answer

    def _picture(self) -> bytes:
        return fresh(self._draw.choice(self._material.pictures))

    def _ask_about_a_picture(self, name: str) -> None:
        asked = OPERATIONS[name]
        images = {member: {"Bytes": self._picture()} for member in asked.pictures}
        parameters = dict(asked.parameters)
        if "CollectionId" in parameters:
            parameters["CollectionId"] = self._collection
        answer = self._call(asked.name, **images, **parameters)
        if answer is not None and asked.name == "IndexFaces":
            self._faces += [record["Face"]["FaceId"] for record in answer["FaceRecords"]]
            if len(self._faces) > MOST_FACES:
                self._delete_faces()

    def _delete_faces(self) -> None:
        gone, self._faces = self._faces[: MOST_FACES // 2], self._faces[MOST_FACES // 2 :]
        self._call("DeleteFaces", CollectionId=self._collection, FaceIds=gone)

    def _search_faces(self) -> None:
        if self._faces:
            self._call("SearchFaces", CollectionId=self._collection, FaceId=self._draw.choice(self._faces))
        else:
            self._ask_about_a_picture("IndexFaces")

    def _begin_a_collection(self) -> None:
        self._call("DeleteCollection", CollectionId=self._collection)
        self._faces = []
        self._call("CreateCollection", CollectionId=self._collection)

    def _live_a_user(self) -> None:
        user = {"CollectionId": self._collection, "UserId": "somebody"}
        self._call("CreateUser", **user)
        if self._faces:
            self._call("AssociateFaces", FaceIds=self._faces[:1], **user)
            self._call("SearchUsers", **user)
        self._call("ListUsers", CollectionId=self._collection)
        self._call("DeleteUser", **user)

    def _look_after_videos(self) -> None:
        """Looks at the jobs under way, and starts one more."""
        if self._material.video is None:
            return
        self._look_at_jobs()
        if len(self._jobs) < MOST_JOBS:
            kind = self._draw.choice(list(JOBS))
            started = self._call(f"Start{kind}", Video=self._material.video, **JOBS[kind])
            self._jobs += [] if started is None else [(kind, started["JobId"])]

    def _look_at_jobs(self) -> None:
        under_way = []
        for kind, job in self._jobs:
            answer = self._call(f"Get{kind}", JobId=job)
            if answer is not None and answer["JobStatus"] == "IN_PROGRESS":
                under_way.append((kind, job))
            if answer is not None and answer["JobStatus"] == "FAILED":
                self._tally.add(f"Get{kind}", time.monotonic(), f"FAILED: {answer.get('StatusMessage')}")
        self._jobs = under_way

    def _send_malformed(self) -> None:
        begun = time.monotonic()
        with Connection(self._place) as connection:
            answer = connection.exchange(self._draw.choice(self._malformed()))
        error = None if answer in REFUSALS else f"answered with {answer}"
        self._tally.add(MALFORMED, begun, error)

    def _malformed(self) -> list[bytes]:
        return [
            signed(self._place, "DetectFaces", b'{"Image":'),
            signed(self._place, "DetectFaces", {}),
            signed(self._place, "DetectFaces", {"Image": {"Bytes": "bm8gcGljdHVyZQ=="}}),
            signed(self._place, "DescribeCollection", {"CollectionId": "not a name"}),
            signed(self._place, "DetectEverything", {}),
            signed(self._place, "ListCollections", {}).replace(b"Signature=", b"Signature=0"),
        ]

    def _abort(self) -> None:
        """Sends a whole request or a part of one and hangs up."""
        begun, error = time.monotonic(), None
        asked = OPERATIONS["DetectFaces"]
        request = signed(self._place, asked.name, asked.content([self._picture()]))
        sent = self._draw.choice((len(request) // 2, len(request)))
        address = urlsplit(self._place.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            with socket.create_connection((address.hostname or "", port), timeout=10) as connection:
                connection.sendall(request[:sent])
        except OSError as broken:
            error = type(broken).__name__
        self._tally.add(ABORTED, begun, error)


def operations(mix: Mapping[str, float], videos: bool) -> list[str]:
    """What programs with this mix call."""
    more = {
        "IndexFaces": ["DeleteFaces"],
        "collection": ["CreateCollection", "DeleteCollection"],
        "user": ["CreateUser", "AssociateFaces", "SearchUsers", "ListUsers", "DeleteUser"],
        "video": [f"{verb}{kind}" for kind in JOBS for verb in ("Start", "Get")] if videos else [],
    }
    own = {name: [OPERATIONS[name].name if name in OPERATIONS else name] for name in mix}
    called = [operation for name in mix for operation in ([] if name in more and name != "IndexFaces" else own[name])]
    return sorted({*called, *(operation for name in mix for operation in more.get(name, []))})
