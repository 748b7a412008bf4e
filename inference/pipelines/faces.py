"""Faces of one picture: detect, align, measure, describe, select, embed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from inference import quality
from inference.alignment import CROP_SIDE, aligned_crop
from inference.batcher import Batcher, together
from inference.cores import Cores
from inference.errors import InvalidImage, UnknownFaceModel
from inference.images import decode
from inference.models.face_detector import Canvas, Detections, brightened, fit, turned_back
from inference.pictures import Picture
from inference.pipelines import face_attributes
from inference.pipelines.face_attributes import AttributeNetworks
from inference.pipelines.request import FacesRequest
from inference.pose import head_pose
from inference.similarity import Calibration
from inference.types import Box, Embedding, Face, FacesResult, Landmark, Pixels

MAX_FACES = 100
LANDMARKS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")
"""The detector's points in its order; left is the picture's left."""
ANSWER_ORDER = ("eye_left", "eye_right", "mouth_left", "mouth_right", "nose")

LEAST_SIDE, MOST_SIDE, CLOSE_UP_SIDE = 640, 1280, 320
"""Long sides, in pixels, at which the detector sees a picture: half the picture's own between the first two, so that a
face of 40 pixels in 1920 is still 20; the last for faces too near to be seen whole at more."""
SURE_SCORE = 0.85
"""Of the surest face. Under it a picture may lie on its side or stand on its head, and is looked at in four turns,
small: upright among them, for a face too near is surer the smaller it is seen, also upside down."""
QUARTER_TURNS = (0, 1, 2, 3)


@dataclass(frozen=True)
class FaceNetworks:
    """The queues of the face networks, and where the pixel work beside them runs.

    `embedder` is that of the face model that `calibration` is of, `embedders` has it and those of further versions.
    `square` pads pictures to squares, so that a device that gains from batches can mix shapes.
    """

    detector: Batcher[Canvas, Detections]
    embedder: Batcher[Pixels, Embedding]
    attributes: AttributeNetworks
    calibration: Calibration
    chores: Cores
    embedders: Mapping[str, Batcher[Pixels, Embedding]]
    square: bool = False

    def embedder_of(self, face_model_version: str | None) -> Batcher[Pixels, Embedding]:
        """The queue of a face model, of the default one for None. Raises UnknownFaceModel."""
        if face_model_version is None:
            return self.embedder
        if face_model_version not in self.embedders:
            served = ", ".join(self.embedders)
            raise UnknownFaceModel(f"face model {face_model_version} is not loaded; {served} is")
        return self.embedders[face_model_version]


async def find_faces(picture: Picture, request: FacesRequest, networks: FaceNetworks) -> FacesResult:
    """All faces of a picture, largest first. Raises UnknownFaceModel, Overloaded."""
    embedder = networks.embedder_of(request.face_model_version)
    image, detections = picture.pixels, await detect(picture, networks)
    faces, crops = await networks.chores.run(describe, image, detections, networks.calibration)
    if request.attributes:
        faces = await face_attributes.describe(
            image,
            faces,
            detections.boxes,
            detections.points,
            request.attributes,
            networks.attributes,
            networks.chores,
        )
    height, width = image.shape[:2]
    selected = quality.select(faces, width, height, request.quality, request.max_faces)
    embedded = await _embed(selected, crops, request.embed, embedder)
    if request.crops:
        embedded = await networks.chores.run(_with_crops, embedded, crops)
    return FacesResult(width, height, embedded)


async def embed_crops(
    crops: Sequence[bytes], face_model_version: str | None, networks: FaceNetworks
) -> list[Embedding]:
    """Embeds aligned faces, PNG files of 112 x 112 pixels. Raises InvalidImage, UnknownFaceModel, Overloaded."""
    embedder = networks.embedder_of(face_model_version)
    pixels = await networks.chores.run(lambda: [_decoded_crop(crop) for crop in crops])
    return await embedder.submit_all(pixels)


async def detect(picture: Picture, networks: FaceNetworks) -> Detections:
    """The largest 100 faces of a picture, largest first. Raises Overloaded."""
    return await picture.once("face detections", lambda: _detect(picture.pixels, networks))


async def _detect(image: Pixels, networks: FaceNetworks) -> Detections:
    side = first_side(image)
    found = await _look(image, side, networks)
    if not len(found.scores):
        found = await _look(image, CLOSE_UP_SIDE, networks)
    if surest(found) < SURE_SCORE:
        turned = await together(_look(image, CLOSE_UP_SIDE, networks, turns) for turns in QUARTER_TURNS)
        turns, best = max(zip(QUARTER_TURNS, turned, strict=True), key=lambda one: surest(one[1]))
        if turns and surest(best) >= SURE_SCORE:
            found = await _look(image, side, networks, turns)
    return largest(found)


async def _look(image: Pixels, side: int, networks: FaceNetworks, quarter_turns: int = 0) -> Detections:
    height, width = image.shape[:2]
    canvas = await networks.chores.run(canvas_of, image, side, networks.square, quarter_turns)
    found = await networks.detector.submit(canvas, key=canvas.pixels.shape)
    return turned_back(found, quarter_turns, width, height)


async def _embed(
    faces: tuple[Face, ...], crops: list[Pixels], which: str, embedder: Batcher[Pixels, Embedding]
) -> tuple[Face, ...]:
    wanted = [n for n, face in enumerate(faces) if not face.rejected]
    wanted = {"none": [], "largest": wanted[:1], "all": wanted}[which]
    embeddings = dict(zip(wanted, await embedder.submit_all([crops[n] for n in wanted]), strict=True))
    return tuple(replace(face, embedding=embeddings.get(n)) for n, face in enumerate(faces))


def _with_crops(faces: tuple[Face, ...], crops: list[Pixels]) -> tuple[Face, ...]:
    """The faces that have embeddings with the crops these are of. PNG loses nothing: a crop embeds the same again."""
    return tuple(
        face if face.embedding is None else replace(face, crop=cv2.imencode(".png", crop[..., ::-1])[1].tobytes())
        for face, crop in zip(faces, crops, strict=True)
    )


def _decoded_crop(data: bytes) -> Pixels:
    pixels = decode(data, CROP_SIDE)
    if pixels.shape != (CROP_SIDE, CROP_SIDE, 3):
        raise InvalidImage(f"an aligned face has {CROP_SIDE} x {CROP_SIDE} pixels")
    return pixels


def first_side(image: Pixels) -> int:
    """The long side, in pixels, at which the detector sees a picture first."""
    half: float = max(image.shape[:2]) / 2
    return min(max(round(half / 32) * 32, LEAST_SIDE), MOST_SIDE)


def canvas_of(image: Pixels, side: int, square: bool = False, quarter_turns: int = 0) -> Canvas:
    """What the detector sees of a picture, turned by np.rot90."""
    return brightened(fit(image, side, square, quarter_turns))


def surest(found: Detections) -> float:
    """The highest score, 0 where nothing was found."""
    return float(found.scores.max(initial=0.0))


def largest(detections: Detections) -> Detections:
    """The largest 100 boxes, largest first."""
    order = np.argsort(-detections.boxes[:, 2] * detections.boxes[:, 3], kind="stable")[:MAX_FACES]
    return Detections(detections.boxes[order], detections.points[order], detections.scores[order])


def describe(image: Pixels, detections: Detections, calibration: Calibration) -> tuple[list[Face], list[Pixels]]:
    """The detected faces with what the detector and the aligned crop tell, and the aligned crop of each."""
    crops = [aligned_crop(image, points) for points in detections.points]
    faces = [
        _face(image, box, points, float(score), crop, calibration)
        for box, points, score, crop in zip(detections.boxes, detections.points, detections.scores, crops, strict=True)
    ]
    return faces, crops


def _face(
    image: Pixels, box: np.ndarray, points: np.ndarray, score: float, crop: Pixels, calibration: Calibration
) -> Face:
    height, width = image.shape[:2]
    ratios = dict(zip(LANDMARKS, (points / [width, height]).tolist(), strict=True))
    left, top, box_width, box_height = (box / [width, height, width, height]).tolist()
    return Face(
        box=Box(left, top, box_width, box_height),
        confidence=calibration.confidence(score),
        landmarks=tuple(Landmark(kind, *ratios[kind]) for kind in ANSWER_ORDER),
        pose=head_pose(points),
        quality=quality.measure(crop),
    )
