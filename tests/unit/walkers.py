"""Made-up people who walk through a made-up video, as the model server would see them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inference import similarity
from inference.types import Body, Box, Embedding, Face, Landmark, PersonsResult, Pose, Quality

WIDTH, HEIGHT = 640, 480
STEP_MS = 200
DIMENSION = 128
CALIBRATION = similarity.of_pack("base")


def clothes(number: int) -> bytes:
    """Appearances of different numbers below 15 have nothing in common."""
    histogram = np.zeros((3, 128), np.uint8)
    histogram[:, 8 * number : 8 * number + 8] = 90
    return histogram.tobytes()


def embedding(number: int) -> Embedding:
    """Of different numbers they are at right angles."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = 1.0
    return vector


SCENE = clothes(15)


@dataclass(frozen=True)
class Walker:
    """Somebody in the frames `seen`, whose box's left top corner is at `start` in the first of the video's frames and
    moves by `step` with each: ratios. `who` tells face and clothes; the face shows in the frames `face_in`."""

    who: int
    start: tuple[float, float]
    step: tuple[float, float]
    seen: Sequence[int]
    face_in: Sequence[int] = ()
    size: tuple[float, float] = (0.1, 0.4)
    confidence: float = 90.0
    body: bool = True
    dressed: int | None = field(default=None)

    def box(self, frame: int) -> Box:
        left, top = (start + frame * step for start, step in zip(self.start, self.step, strict=True))
        return Box(left, top, *self.size)

    def bodies(self, frame: int) -> list[Body]:
        clothing = clothes(self.who if self.dressed is None else self.dressed)
        return [Body(self.box(frame), self.confidence, clothing)] if self.body and frame in self.seen else []

    def faces(self, frame: int) -> list[Face]:
        box = self.box(frame)
        wide = box.width / 2
        at = Box(box.left + box.width / 4, box.top + 0.01, wide, wide * WIDTH / HEIGHT)
        return [face(self.who, at)] if frame in self.seen and frame in self.face_in else []


def face(who: int, box: Box, confidence: float = 99.0) -> Face:
    points = (Landmark("nose", box.left + box.width / 2, box.top + box.height / 2),)
    return Face(box, confidence, points, Pose(0.0, 0.0, 0.0), Quality(80.0, 80.0), embedding=embedding(who))


def look(frame: int, walkers: Sequence[Walker], scene: bytes = SCENE) -> tuple[int, PersonsResult]:
    """A frame of a video of these people."""
    bodies = tuple(body for walker in walkers for body in walker.bodies(frame))
    faces = tuple(one for walker in walkers for one in walker.faces(frame))
    return frame * STEP_MS, PersonsResult(WIDTH, HEIGHT, bodies, faces, scene, CALIBRATION.face_model_version)


def looks(frames: int, walkers: Sequence[Walker]) -> list[tuple[int, PersonsResult]]:
    return [look(frame, walkers) for frame in range(frames)]
