"""The people of a whole video: tracks of one person found again, and each person's index.

Nobody's index is known before the last frame, for a face may show late whose track it was. So the frames are followed
once and what is seen waits in a temporary file; of the tracks only what tells people apart stays in memory.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
    """A person so far: the intervals in which its tracks were seen, its faces and how it looked last."""

    numbers: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
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
    """Follows the people of a video, whose looked-at frames come in order, all of one face model.

    `options` and `found_again` are for measuring. Raises KeyError when no pack has the face model.
    """
    with tempfile.TemporaryFile(prefix="openrek-people") as kept:
        tracker, frames = None, 0
        for at_ms, found in looks:
            calibration = similarity.of_version(found.face_model_version)
            tracker = tracker or Tracker(calibration, options)
            _keep(kept, at_ms, [_seen(number, one) for number, one in tracker.follow(at_ms, found)])
            frames += 1
        if tracker is None:
            yield Followed((), None, {}, kept)
            return
        ended = tracker.end()
        known = joined(ended, calibration) if found_again else [_alone(one) for one in ended]
        sure = [one for one in known if one.sure_looks >= min(LEAST_LOOKS, frames)]
        sure.sort(key=lambda one: (one.spans[0][0], one.numbers[0]))
        indices = {number: index for index, one in enumerate(sure) for number in one.numbers}
        persons = tuple(_person(index, one) for index, one in enumerate(sure))
        yield Followed(persons, found.face_model_version, indices, kept)


def joined(ended: Sequence[Track], calibration: Calibration) -> list[_Known]:
    """The people whose tracks they are: each track is the person's it is most like, if it is like one enough."""
    same, other = calibration.cosine_at(SAME_FACE), calibration.cosine_at(OTHER_FACE)
    known: list[_Known] = []
    for track in sorted(ended, key=lambda one: (one.first_ms, one.number)):
        scores = [_sameness(one, track, same, other) for one in known]
        if scores and max(scores) > 0:
            n = int(np.argmax(scores))
            known[n] = _with(known[n], track)
        else:
            known.append(_alone(track))
    return known


def _sameness(one: _Known, track: Track, same: float, other: float) -> float:
    """Over 1 by the face, in 0..1 by what is seen from afar, 0 for somebody else."""
    if any(start <= track.last_ms and track.first_ms <= end for start, end in one.spans):
        return 0.0
    ours, theirs = tracks.template(one.faces), tracks.template(track.faces)
    cosine = None if ours is None or theirs is None else float(ours @ theirs)
    if cosine is not None and cosine >= same:
        return 1 + cosine
    if cosine is not None and cosine < other:
        return 0.0
    if one.appearance is None or track.appearance is None or track.first_ms - one.spans[-1][1] > MOST_APART_MS:
        return 0.0
    likeness = float(one.appearance @ track.appearance)
    return likeness if likeness >= LEAST_LIKENESS else 0.0


def _alone(track: Track) -> _Known:
    span = (track.first_ms, track.last_ms)
    return _Known((track.number,), (span,), track.sure_looks, track.appearance, track.faces)


def _with(one: _Known, track: Track) -> _Known:
    return _Known(
        (*one.numbers, track.number),
        (*one.spans, (track.first_ms, track.last_ms)),
        one.sure_looks + track.sure_looks,
        one.appearance if track.appearance is None else track.appearance,
        tracks.best(one.faces + track.faces),
    )


def _person(index: int, one: _Known) -> Person:
    return Person(index, one.spans[0][0], max(end for _, end in one.spans), tracks.template(one.faces))


def _keep(kept: IO[bytes], at_ms: int, seen: list[SeenPerson]) -> None:
    data = wire.encode((at_ms, seen))
    kept.write(len(data).to_bytes(LENGTH_BYTES) + data)


def _seen(number: int, one: Detection) -> SeenPerson:
    face = None if one.face is None else replace(one.face, embedding=None)
    return SeenPerson(number, one.box, one.confidence, face)
