"""Bodies and faces of one picture, as the tracker of a video wants them: with what tells a person again."""

import asyncio
from dataclasses import dataclass, replace

import cv2
import numpy as np

from inference import appearance
from inference.cores import Cores
from inference.figures import Tile
from inference.models.object_detector import CLASSES, Objects
from inference.pictures import Picture
from inference.pipelines import scene
from inference.pipelines.faces import LANDMARKS, FaceNetworks, find_faces
from inference.pipelines.request import FacesRequest, PersonsRequest
from inference.pipelines.scene import SceneNetworks
from inference.similarity import Curve
from inference.types import Body, Box, Face, PersonsResult, Pixels

HALF_SHARE = 0.6
"""Of a picture's long side. The detector may see two such halves besides the whole: of people of 80 pixels in 768 x 576
it then finds 79 of 100, not 67, as surely; quarters find fewer (docs/accuracy.md, "People over time")."""
LEAST_HINT, SURE_SCORE, SMALL_SHARE = 0.1, 0.5, 0.5
"""A half is looked at for somebody in it whom the whole picture shows with the first score, but not with the second or
smaller than that share of its short side. On the labelled clips that finds the same people at the same times as looking
at both halves of every frame; people of 80 pixels still take all three looks."""
LEAST_SCORE = 0.2
HALF_MARGIN = 0.04
"""Of a half's side: whom it cuts off is boxed up to so far from its edge, and seen whole elsewhere."""
MOST_OVERLAP = 0.65
"""Intersection over union of the boxes of two people."""
MOST_BODIES = 100


@dataclass(frozen=True)
class PersonNetworks:
    """The queues of the networks, shared with other tasks; `scores` maps the object detector's 0..1 to 0..100."""

    scene: SceneNetworks
    faces: FaceNetworks
    scores: Curve
    chores: Cores


async def find_persons(picture: Picture, request: PersonsRequest, networks: PersonNetworks) -> PersonsResult:
    """The surest 100 bodies and the largest 100 faces. Raises UnknownFaceModel, Overloaded."""
    asked = FacesRequest(embed="all", face_model_version=request.face_model_version, attributes=("default",))
    height, width = picture.pixels.shape[:2]
    objects, faces = await asyncio.gather(
        _look_for_bodies(picture, networks.scene), find_faces(picture, asked, networks.faces)
    )
    bodies = await networks.chores.run(_bodies, picture.pixels, objects, networks.scores)
    colours = await networks.chores.run(appearance.of_picture, picture.pixels)
    version = request.face_model_version or networks.faces.calibration.face_model_version
    return PersonsResult(width, height, bodies, tuple(map(_with_five_points, faces.faces)), colours, version)


async def _look_for_bodies(picture: Picture, networks: SceneNetworks) -> Objects:
    """The objects of the whole picture, and of the halves that are worth a closer look."""
    height, width = picture.pixels.shape[:2]
    whole = await scene.objects(picture, networks)
    tiles = [tile for tile in halves(width, height) if is_worth_a_look(tile, whole, width, height)]
    margin = HALF_MARGIN * HALF_SHARE * max(width, height)
    return await scene.objects_by_parts(picture, tiles, networks, margin)


def is_worth_a_look(tile: Tile, whole: Objects, width: int, height: int) -> bool:
    """Whether a part of a picture of that size, pixels, may show somebody better than the whole does."""
    left, top, wide, high = tile
    chosen = (whole.classes == CLASSES.index("person")) & (whole.scores >= LEAST_HINT)
    boxes, scores = whole.boxes[chosen] * [width, height, width, height], whole.scores[chosen]
    ends = boxes[:, :2] + boxes[:, 2:]
    inside = ((boxes[:, :2] >= [left, top]) & (ends <= [left + wide, top + high])).all(axis=1)
    small = boxes[:, 2:].max(axis=1) < SMALL_SHARE * min(width, height)
    return bool((inside & (small | (scores < SURE_SCORE))).any())


def halves(width: int, height: int) -> list[Tile]:
    """The two overlapping halves of a picture of that size, pixels."""
    if width >= height:
        wide = round(width * HALF_SHARE)
        return [(left, 0, wide, height) for left in (0, width - wide)]
    high = round(height * HALF_SHARE)
    return [(0, top, width, high) for top in (0, height - high)]


def persons(objects: Objects, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of people, surest first: float64 [N, 4] left, top, width, height in pixels, and scores [N], 0..1."""
    chosen = (objects.classes == CLASSES.index("person")) & (objects.scores >= LEAST_SCORE)
    boxes = objects.boxes[chosen].astype(np.float64) * [width, height, width, height]
    scores = objects.scores[chosen].astype(np.float64)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), LEAST_SCORE, MOST_OVERLAP)
    order = np.asarray(kept, np.intp).reshape(-1)[:MOST_BODIES]
    return boxes[order], scores[order]


def _with_five_points(face: Face) -> Face:
    return replace(face, landmarks=tuple(point for point in face.landmarks if point.kind in LANDMARKS))


def _bodies(image: Pixels, objects: Objects, scores: Curve) -> tuple[Body, ...]:
    height, width = image.shape[:2]
    boxes, sure = persons(objects, width, height)
    return tuple(
        Body(Box(*(box / [width, height, width, height]).tolist()), scores.up(float(score)), seen)
        for box, score, seen in zip(boxes, sure, appearance.of_boxes(image, boxes), strict=True)
    )
