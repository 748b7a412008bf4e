"""The people of a whole video: tracks of one person found again, and each person's index.

Nobody's index is known before the last frame, for a face may show late whose track it was. So the frames are followed
once and what is seen waits in a temporary file; of the tracks only what tells people apart stays in memory.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO

import numpy as np

from inference import appearance, similarity, wire
from inference.similarity import Calibration
from inference.types import Embedding, PersonsResult
from inference.video import tracks
from inference.video.detections import Detection, TellingFace
from inference.video.tracking import EVERYTHING, Options, Tracker
from inference.video.tracks import Track
from inference.video.types import SeenPerson

Look = tuple[int, PersonsResult]
"""A time in the video, milliseconds, and what the frame then shows of people."""
LEAST_LOOKS = 3
"""At a person, surely: who is seen less often was perhaps never there. In a video of fewer frames, all of them."""
SAME_FACE, OTHER_FACE = 90.0, 12.0
"""Similarity of the faces of two tracks of one person, and of two people who may look alike from afar."""
MOST_APART_MS = 10_000
LEAST_LIKENESS = 0.85
"""How long after a track, at most, one that looks so much like it from afar is the same person's."""
LENGTH_BYTES = 4


@dataclass(frozen=True, eq=False)
class Person:
    """`index` counts from 0 in the order of first appearance; `template` is the mean of the best faces, None where no
    face was seen."""

    index: int
    first_ms: int
    last_ms: int
    template: Embedding | None


@dataclass(frozen=True, eq=False)
class _Known:
    """A person so far: the numbers of its tracks, its best faces and how it looked last."""

    numbers: tuple[int, ...]
    first_ms: int
    last_ms: int
    sure_looks: int
    appearance: appearance.Vector | None
    faces: tuple[TellingFace, ...]


class Followed:
    """The people of a video, in the order of their indices, and where they are in each frame; `face_model_version` is
    that of the templates, None for a video without frames."""

    def __init__(
        self, persons: tuple[Person, ...], face_model_version: str | None, indices: dict[int, int], kept: IO[bytes]
    ) -> None:
        self.persons = persons
        self.face_model_version = face_model_version
        self._indices = indices
        self._kept = kept

    def moments(self) -> Iterator[tuple[int, list[SeenPerson]]]:
        """Each time at which somebody is seen, milliseconds, and who is: by index. Faces have no embeddings."""
        self._kept.seek(0)
        while length := self._kept.read(LENGTH_BYTES):
            at_ms, numbered = wire.decode(self._kept.read(int.from_bytes(length)), tuple[int, list[SeenPerson]])
            people = [replace(one, index=self._indices[one.index]) for one in numbered if one.index in self._indices]
            if people:
                yield at_ms, sorted(people, key=lambda one: one.index)


@contextmanager
def followed(looks: Iterable[Look], options: Options = EVERYTHING, *, found_again: bool = True) -> Iterator[Followed]:
    """Follows the people of a video, whose looked-at frames come in order.

    `options` and `found_again` are for measuring. Raises KeyError when no pack has the frames' face model, ValueError
    when they have two.
    """
    with tempfile.TemporaryFile(prefix="openrek-people") as kept:
        first = next(looks := iter(looks), None)
        if first is None:
            yield Followed((), None, {}, kept)
            return
        version, frames = first[1].face_model_version, 0
        calibration = similarity.of_version(version)
        tracker = Tracker(calibration, options)
        for at_ms, found in chain([first], looks):
            if found.face_model_version != version:
                raise ValueError(f"the frames were seen by the face models {version} and {found.face_model_version}")
            _keep(kept, at_ms, [_seen(number, one) for number, one in tracker.follow(at_ms, found)])
            frames += 1
        ended = tracker.end()
        known = joined(ended, calibration) if found_again else [_alone(one) for one in ended]
        sure = [one for one in known if one.sure_looks >= min(LEAST_LOOKS, frames)]
        sure.sort(key=lambda one: (one.first_ms, one.numbers[0]))
        indices = {number: index for index, one in enumerate(sure) for number in one.numbers}
        persons = tuple(_person(index, one) for index, one in enumerate(sure))
        yield Followed(persons, version, indices, kept)


def joined(ended: Sequence[Track], calibration: Calibration) -> list[_Known]:
    """The people whose tracks they are: each track is the person's whose face it shows, or else of somebody who looked
    like it a moment before. Nobody has two tracks at one time."""
    same, other = calibration.cosine_at(SAME_FACE), calibration.cosine_at(OTHER_FACE)
    known: list[_Known] = []
    length = max((face.embedding.size for track in ended for face in track.faces), default=1)
    templates, last_ms = np.zeros((len(ended), length), np.float32), np.zeros(len(ended), np.int64)
    for track in sorted(ended, key=lambda one: (one.first_ms, one.number)):
        count = len(known)
        since = track.first_ms - last_ms[:count]
        own = tracks.template(track.faces)
        cosines = np.full(count, -1.0) if own is None else np.where(since > 0, templates[:count] @ own, -1.0)
        place = int(cosines.argmax()) if count else 0
        if not count or cosines[place] < same:
            recent = np.flatnonzero((since > 0) & (since <= MOST_APART_MS))
            alike = [int(n) for n in recent if own is None or not known[n].faces or cosines[n] >= other]
            place = _most_like(track, known, alike)
        if place == count:
            known.append(_alone(track))
        else:
            known[place] = _with(known[place], track)
        theirs = tracks.template(known[place].faces)
        templates[place] = 0.0 if theirs is None else theirs
        last_ms[place] = track.last_ms
    return known


def _most_like(track: Track, known: Sequence[_Known], among: Sequence[int]) -> int:
    """Who of these looks most like a track from afar; the number of the known for nobody."""
    best, most = len(known), LEAST_LIKENESS
    for n in among:
        seen = known[n].appearance
        likeness = 0.0 if seen is None or track.appearance is None else float(seen @ track.appearance)
        if likeness >= most and (best == len(known) or likeness > most):
            best, most = n, likeness
    return best


def _alone(track: Track) -> _Known:
    return _Known((track.number,), track.first_ms, track.last_ms, track.sure_looks, track.appearance, track.faces)


def _with(one: _Known, track: Track) -> _Known:
    return _Known(
        (*one.numbers, track.number),
        one.first_ms,
        track.last_ms,
        one.sure_looks + track.sure_looks,
        one.appearance if track.appearance is None else track.appearance,
        tracks.best(one.faces + track.faces),
    )


def _person(index: int, one: _Known) -> Person:
    return Person(index, one.first_ms, one.last_ms, tracks.template(one.faces))


def _keep(kept: IO[bytes], at_ms: int, seen: list[SeenPerson]) -> None:
    data = wire.encode((at_ms, seen))
    kept.write(len(data).to_bytes(LENGTH_BYTES) + data)


def _seen(number: int, one: Detection) -> SeenPerson:
    face = None if one.face is None else replace(one.face, embedding=None)
    return SeenPerson(number, one.box, one.confidence, face)
