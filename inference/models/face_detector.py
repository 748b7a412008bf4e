"""YuNet 2023mar: face boxes and five points (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023).

Input float32 [N, 3, H, W], BGR 0..255, H and W multiples of 32. Per stride 8, 16 and 32 and cell it gives class and
object scores, a box (centre offset, log size) and five points in units of the stride.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.planes import planes
from inference.types import Pixels

STRIDES = (8, 16, 32)
SCORE_THRESHOLD = 0.6
OVERLAP_THRESHOLD = 0.3
DARK, BRIGHT = 110.0, 220.0
"""Of the green values of a canvas, 0..255, 2 % lie above: in pictures darker than the first they are raised to the
second. Of faces at a tenth of their brightness 80 instead of 56 % are found so."""
MAX_BATCH = {"cpu": 1, "cuda": 32, "tensorrt": 32}
"""On the CPU, batches of this small network fall out of the cache and cost more per picture than single runs."""


@dataclass(frozen=True)
class Canvas:
    """A picture scaled for the network. `pixels`: uint8 [H, W, 3] RGB, zero right and below the picture;
    `scale_x`, `scale_y`: canvas pixels per picture pixel."""

    pixels: Pixels
    scale_x: float
    scale_y: float


@dataclass(frozen=True)
class Detections:
    """`boxes` float32 [N, 4] x, y, width, height; `points` float32 [N, 5, 2] (eyes, nose, mouth corners, the
    picture's left first), both in picture pixels; `scores` float32 [N], 0..1."""

    boxes: np.ndarray
    points: np.ndarray
    scores: np.ndarray


class FaceDetector:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Canvas]) -> list[Detections]:
        """Detects faces on canvases of one shape."""
        outputs = self._session.run([preprocess([canvas.pixels for canvas in batch])])
        return [
            postprocess({name: values[n] for name, values in outputs.items()}, canvas) for n, canvas in enumerate(batch)
        ]


def load(path: Path, device: str, threads: int) -> FaceDetector:
    return FaceDetector(Session(path, device, threads))


def fit(image: Pixels, side: int, square: bool = False, quarter_turns: int = 0) -> Canvas:
    """Scales a picture so that its long side is `side` pixels, and turns it by np.rot90; the canvas has sides that are
    multiples of 32.

    `square` pads to side x side, so that pictures of any shape share a batch.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.rot90(cv2.resize(image, size, interpolation=interpolation), quarter_turns)
    if quarter_turns % 2:
        height, width = width, height
    inner_h, inner_w = scaled.shape[:2]
    canvas_w, canvas_h = (side, side) if square else (inner_w, inner_h)
    pixels = np.zeros((_up_to_32(canvas_h), _up_to_32(canvas_w), 3), np.uint8)
    pixels[:inner_h, :inner_w] = scaled
    return Canvas(pixels, inner_w / width, inner_h / height)


def brightened(canvas: Canvas) -> Canvas:
    """A dark picture made brighter by one factor; any other as it is."""
    highest = float(np.percentile(canvas.pixels[::4, ::4, 1], 98))
    if not 0 < highest < DARK:
        return canvas
    return replace(canvas, pixels=np.asarray(cv2.convertScaleAbs(canvas.pixels, alpha=BRIGHT / highest), np.uint8))


def turned_back(found: Detections, quarter_turns: int, width: int, height: int) -> Detections:
    """Detections in a picture of `width` x `height` pixels that was turned by np.rot90, in the picture as it was.

    The order of the points stays that of the turned picture, in which the faces were upright.
    """
    corners = np.stack([found.boxes[:, :2], found.boxes[:, :2] + found.boxes[:, 2:]], axis=1)
    corners, points = (_turned_back(places, quarter_turns % 4, width, height) for places in (corners, found.points))
    low, high = corners.min(axis=1), corners.max(axis=1)
    return Detections(np.hstack([low, high - low]), points, found.scores)


def preprocess(canvases: Sequence[Pixels]) -> np.ndarray:
    """RGB canvases of one shape to float32 [N, 3, H, W] BGR."""
    return planes(canvases)


def postprocess(outputs: dict[str, np.ndarray], canvas: Canvas) -> Detections:
    """One picture's outputs ([cells, k] per name) to faces in picture pixels, best first, overlapping ones dropped."""
    width = canvas.pixels.shape[1]
    found = [_decode(outputs, stride, width // stride) for stride in STRIDES]
    boxes, points, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    keep = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), SCORE_THRESHOLD, OVERLAP_THRESHOLD)
    chosen = np.asarray(keep, dtype=np.intp).reshape(-1)
    scale = np.array([canvas.scale_x, canvas.scale_y], np.float32)
    return Detections(boxes[chosen] / np.tile(scale, 2), points[chosen] / scale, scores[chosen])


def _turned_back(places: np.ndarray, quarter_turns: int, width: int, height: int) -> np.ndarray:
    x, y = places[..., 0], places[..., 1]
    return np.stack([(x, y), (width - y, x), (width - x, height - y), (y, height - x)][quarter_turns], axis=-1)


def _decode(outputs: dict[str, np.ndarray], stride: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores = np.sqrt(outputs[f"cls_{stride}"][:, 0].clip(0, 1) * outputs[f"obj_{stride}"][:, 0].clip(0, 1))
    cells = np.flatnonzero(scores >= SCORE_THRESHOLD)
    corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    offsets = outputs[f"bbox_{stride}"][cells]
    centres, sizes = (corner + offsets[:, :2]) * stride, np.exp(offsets[:, 2:]) * stride
    points = (corner[:, None] + outputs[f"kps_{stride}"][cells].reshape(-1, 5, 2)) * stride
    return np.hstack([centres - sizes / 2, sizes]), points, scores[cells]


def _up_to_32(length: int) -> int:
    return -(-length // 32) * 32
