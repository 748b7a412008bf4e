"""Programs that index, delete and search through boto3 at once, and hold every answer against the ledgers."""

import io
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.endpoint import Endpoint
from benchmarks.faults.chaos_ledger import Entry, Ledger, disagreements

PICTURES = Path(__file__).parents[2] / "openrek" / "pictures"
MOST_FACES_OF_A_CLIENT = 30
MOST_MATCHES = 4096
PATIENCE_SECONDS = 150.0
PAUSE_BETWEEN_ATTEMPTS_SECONDS = 0.1
GIVEN_UP = 0.2  # of the operations that failed in spite of the SDK's retries


class NoAnswer(Exception):
    """An operation failed again and again for longer than anybody waits."""


@dataclass
class Phase:
    """What clients saw for a while. `waits` are seconds from the first attempt of an operation to its success, with all
    retries; `calls` those of single calls of the SDK, successful or not; `errors` counts what these raised, by code."""

    waits: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class Tally:
    """What all clients saw; an operation counts for the phase it began in."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    answers_checked: int = 0
    phase: Phase = field(default_factory=Phase)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def violated(self, what: Sequence[str]) -> None:
        with self.lock:
            self.violations.extend(f"{time.strftime('%H:%M:%S')} {one}" for one in what)


def variants() -> list[bytes]:
    """JPEGs of the two portraits: turned, brighter, darker, cropped, mirrored. Each has one face."""
    made = []
    for path in (PICTURES / "eileen_collins.jpg", PICTURES / "grace_hopper.jpg"):
        portrait = Image.open(path).convert("RGB")
        for mirrored in (portrait, ImageOps.mirror(portrait)):
            for margin in (0, 15, 30):
                cropped = ImageOps.crop(mirrored, margin)
                made += [_jpeg(ImageEnhance.Brightness(cropped).enhance(light)) for light in (0.85, 1.0, 1.15)]
    return made


class Client:
    """One program with its own connection. It changes only faces of its own, so it knows what they should be."""

    def __init__(
        self,
        number: int,
        endpoint: Endpoint,
        ledgers: Sequence[Ledger],
        pictures: Sequence[bytes],
        tally: Tally,
        seed: int,
    ) -> None:
        self._number, self._ledgers, self._pictures, self._tally = number, ledgers, pictures, tally
        self._random = random.Random(f"{seed} {number}")
        self._rekognition = endpoint.client(retries={"mode": "standard"})
        self._external_ids = (f"client-{number}-face-{index}" for index in count())

    def work(self, stop: threading.Event) -> None:
        """Index, delete and search until told to stop."""
        while not stop.is_set():
            ledger = self._random.choice(self._ledgers)
            own = ledger.present(self._number)
            work = [self._index, self._search, self._search_by_image]
            if own:
                work += [self._delete, self._index_again, self._search]
            if len(own) > MOST_FACES_OF_A_CLIENT:
                work = [self._delete]
            self._guarded(self._random.choice(work), ledger)

    def watch(self, stop: threading.Event) -> None:
        """Search right after every change that another client was told of."""
        while not stop.is_set():
            for ledger in self._ledgers:
                if ledger.changed.wait(0.05):
                    ledger.changed.clear()
                    self._guarded(self._search, ledger)

    def _guarded(self, work: Callable[[Ledger], None], ledger: Ledger) -> None:
        try:
            work(ledger)
        except (NoAnswer, ClientError) as error:
            self._tally.violated([f"{ledger.collection}: {error}"])

    def _index(self, ledger: Ledger) -> None:
        external_id, picture = next(self._external_ids), self._random.choice(self._pictures)
        ledger.begin(external_id, self._number, picture)
        answer, _ = self._insist("index_faces", ledger, **_indexing(external_id, picture))
        if answer is None:
            return
        faces = [record["Face"] for record in answer["FaceRecords"]]
        if [face["ExternalImageId"] for face in faces] != [external_id]:
            self._tally.violated([f"{external_id} was indexed as {faces}"])
            return
        ledger.move(external_id, "present", faces[0]["FaceId"])

    def _index_again(self, ledger: Ledger) -> None:
        """The same picture under the same external id is the same face."""
        external_id, entry = self._one_of(ledger.present(self._number))
        answer, _ = self._insist("index_faces", ledger, **_indexing(external_id, entry.picture))
        if answer is not None and [record["Face"]["FaceId"] for record in answer["FaceRecords"]] != [entry.face_id]:
            self._tally.violated([f"{external_id}, stored as {entry.face_id}, was indexed again: {answer}"])

    def _delete(self, ledger: Ledger) -> None:
        own = sorted(ledger.present(self._number).items())
        chosen = dict(self._random.sample(own, min(len(own), self._random.randint(1, 3))))
        for external_id in chosen:
            ledger.move(external_id, "deleting")
        answer, retried = self._insist("delete_faces", ledger, FaceIds=[entry.face_id for entry in chosen.values()])
        if answer is None:
            return
        for external_id, entry in chosen.items():
            # A repeated deletion may find that the first attempt went through.
            if entry.face_id not in answer["DeletedFaces"] and not retried:
                self._tally.violated([f"{external_id} was acknowledged as {entry.face_id} but could not be deleted"])
            ledger.move(external_id, "deleted")

    def _search(self, ledger: Ledger) -> None:
        present = ledger.present()
        if not present:
            return
        external_id, entry = self._one_of(present)
        before = ledger.view()
        try:
            answer, _ = self._insist("search_faces", ledger, FaceId=entry.face_id, **_ALL)
        except ClientError as error:
            if ledger.view()[external_id].state == "present":
                self._tally.violated([f"{external_id}, acknowledged as {entry.face_id}, cannot be searched: {error}"])
            return
        self._check(ledger, before, answer, without=external_id)

    def _search_by_image(self, ledger: Ledger) -> None:
        before = ledger.view()
        image = {"Bytes": self._random.choice(self._pictures)}
        answer, _ = self._insist("search_faces_by_image", ledger, Image=image, **_ALL)
        self._check(ledger, before, answer)

    def _check(self, ledger: Ledger, before: Any, answer: Any, without: str | None = None) -> None:
        if answer is None:
            return
        found = [(match["Face"]["ExternalImageId"], match["Face"]["FaceId"]) for match in answer["FaceMatches"]]
        wrong = disagreements(before, ledger.view(), found, without)
        self._tally.violated([f"{ledger.collection}: {one} (request {_request_id(answer)})" for one in wrong])
        with self._tally.lock:
            self._tally.answers_checked += 1

    def _insist(self, operation: str, ledger: Ledger, **request: Any) -> tuple[Any, bool]:
        """The answer, and whether it took more than one attempt; None if it failed and was given up.

        Raises ClientError when the service blames the request, NoAnswer.
        """
        phase, start, failures = self._tally.phase, time.monotonic(), 0
        while time.monotonic() - start < PATIENCE_SECONDS:
            called = time.monotonic()
            try:
                answer = getattr(self._rekognition, operation)(CollectionId=ledger.collection, **request)
            except (BotoCoreError, ClientError) as error:
                if not _is_temporary(error):
                    raise
                failures += 1
                with self._tally.lock:
                    phase.errors[_code(error)] += 1
                    phase.calls.append(time.monotonic() - called)
                if self._random.random() < GIVEN_UP:
                    return None, True
                time.sleep(PAUSE_BETWEEN_ATTEMPTS_SECONDS)
                continue
            if _MEMBERS[operation] not in answer:
                self._tally.violated([f"{operation} was answered with {answer}"])
                return None, True
            with self._tally.lock:
                self._tally.acknowledged[operation] += 1
                phase.calls.append(time.monotonic() - called)
                phase.waits.append(time.monotonic() - start)
            return answer, failures > 0 or answer["ResponseMetadata"]["RetryAttempts"] > 0
        raise NoAnswer(f"{operation} failed for more than {PATIENCE_SECONDS:.0f} s")

    def _one_of(self, entries: dict[str, Entry]) -> tuple[str, Entry]:
        return self._random.choice(sorted(entries.items()))


_MEMBERS = {
    "index_faces": "FaceRecords",
    "delete_faces": "DeletedFaces",
    "search_faces": "FaceMatches",
    "search_faces_by_image": "FaceMatches",
}
_ALL = {"FaceMatchThreshold": 0.0, "MaxFaces": MOST_MATCHES}


def _indexing(external_id: str, picture: bytes) -> dict[str, Any]:
    return {"ExternalImageId": external_id, "Image": {"Bytes": picture}, "QualityFilter": "NONE", "MaxFaces": 1}


def _code(error: Exception) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def _is_temporary(error: Exception) -> bool:
    return not isinstance(error, ClientError) or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


def _request_id(answer: Any) -> str:
    return str(answer["ResponseMetadata"]["RequestId"])


def _jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()
