"""Joins the detections of one frame after the other into tracks, each of one person in one scene.

Tracking by detection after ByteTrack (Zhang et al., 2022): sure detections are joined first, then doubtful ones with
the tracks that are left, and only sure ones begin a track. Frames may be a fifth of a second apart, so boxes are given
room (C-BIoU), and the place where a track was last seen counts as well as the one it should have moved to (OC-SORT, Cao
et al., 2023). Faces that are clearly two people's are never joined. A cut ends all tracks: nothing tells where people
are after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference import appearance
from inference.similarity import Calibration
from inference.types import PersonsResult
from inference.video import motion, tracks
from inference.video.assignment import assigned
from inference.video.detections import Detection, detections
from inference.video.tracks import Track

MOST_GAP_MS = 2000
"""For which a track that is not seen waits to be found where it should be."""
SAME_SCENE = 0.5
"""Least likeness of two frames without a cut between them."""
ROOM, LEAST_OVERLAP = 0.3, 0.1
APPEARANCE_WEIGHT, LEAST_LIKENESS = 1.0, 0.3
MOST_COST, MOST_DOUBTFUL_COST = 1.5, 0.7
SAME_FACE, OTHER_FACE = 80.0, 5.0
"""Similarity of two faces of one person, and of two people."""
FACE_BONUS = 0.5


@dataclass(frozen=True)
class Options:
    """What can be left out, to measure what it is worth."""

    appearance: bool = True
    faces: bool = True


EVERYTHING = Options()


class Tracker:
    """Follows people from frame to frame; the frames must come in order."""

    def __init__(self, calibration: Calibration, options: Options = EVERYTHING) -> None:
        self._ended: list[Track] = []
        self._tracks: dict[int, Track] = {}
        self._options = options
        self._same_face, self._other_face = map(calibration.cosine_at, (SAME_FACE, OTHER_FACE))
        self._begun = 0
        self._scene: appearance.Vector | None = None

    def follow(self, at_ms: int, found: PersonsResult) -> list[tuple[int, Detection]]:
        """The people of the next frame with the numbers of their tracks, without those too doubtful to have one."""
        self._end_those_over(at_ms, appearance.vector(found.appearance))
        people = detections(found)
        sure = [one for one in people if tracks.is_sure(one)]
        doubtful = [one for one in people if not tracks.is_sure(one)]
        seen = self._joined(sorted(self._tracks), sure, at_ms, MOST_COST)
        left = sorted(self._tracks.keys() - {number for number, _ in seen})
        seen += self._joined(left, doubtful, at_ms, MOST_DOUBTFUL_COST)
        for number, one in seen:
            self._tracks[number] = tracks.continued(self._tracks[number], at_ms, one)
        known = {id(one) for _, one in seen}
        return seen + [(self._begin(at_ms, one), one) for one in sure if id(one) not in known]

    def end(self) -> list[Track]:
        """Ends all tracks, and gives all there were."""
        self._end_all()
        return self._ended

    def _end_all(self) -> None:
        self._ended += self._tracks.values()
        self._tracks.clear()

    def _begin(self, at_ms: int, one: Detection) -> int:
        number, self._begun = self._begun, self._begun + 1
        self._tracks[number] = tracks.begun(number, at_ms, one)
        return number

    def _end_those_over(self, at_ms: int, scene: appearance.Vector) -> None:
        if self._scene is not None and float(scene @ self._scene) < SAME_SCENE:
            self._end_all()
        self._scene = scene
        for number, track in list(self._tracks.items()):
            if at_ms - track.last_ms > MOST_GAP_MS:
                self._ended.append(self._tracks.pop(number))

    def _joined(
        self, numbers: Sequence[int], people: Sequence[Detection], at_ms: int, most: float
    ) -> list[tuple[int, Detection]]:
        followed = [self._tracks[number] for number in numbers]
        pairs = assigned(self._costs(followed, people, at_ms), most)
        return [(numbers[row], people[column]) for row, column in pairs]

    def _costs(self, followed: Sequence[Track], people: Sequence[Detection], at_ms: int) -> np.ndarray:
        """[tracks, people]; infinite for who cannot be the same."""
        if not followed or not people:
            return np.zeros((0, 0))
        seen = np.array([one.body for one in people])
        there = np.array([motion.predicted(one.motion, (at_ms - one.last_ms) / 1000).box for one in followed])
        last = np.array([one.last_body for one in followed])
        near = np.maximum(motion.overlaps(there, seen, ROOM), motion.overlaps(last, seen, ROOM))
        costs = np.where(near >= LEAST_OVERLAP, 1 - near, np.inf)
        if self._options.appearance:
            costs += _of_appearance(followed, people)
        if self._options.faces:
            costs += self._of_faces(followed, people)
        return costs

    def _of_faces(self, followed: Sequence[Track], people: Sequence[Detection]) -> np.ndarray:
        costs = np.zeros((len(followed), len(people)))
        for row, track in enumerate(followed):
            known = tracks.template(track.faces)
            for column, one in enumerate(people):
                if known is not None and one.telling is not None:
                    cosine = float(known @ one.telling.embedding)
                    costs[row, column] = (
                        np.inf if cosine < self._other_face else -FACE_BONUS * (cosine >= self._same_face)
                    )
        return costs


def _of_appearance(followed: Sequence[Track], people: Sequence[Detection]) -> np.ndarray:
    costs = np.zeros((len(followed), len(people)))
    for row, track in enumerate(followed):
        for column, one in enumerate(people):
            if track.appearance is not None and one.appearance is not None:
                likeness = float(track.appearance @ one.appearance)
                costs[row, column] = np.inf if likeness < LEAST_LIKENESS else APPEARANCE_WEIGHT * (1 - likeness)
    return costs
