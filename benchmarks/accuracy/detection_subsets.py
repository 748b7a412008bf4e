"""Pictures made harder by known transformations, for benchmarks/accuracy/detection.py.

A face counts as found when a detection holds its middle (a labelled nose, or the middle of a labelled box) and has
between 0.4 and 2.5 times its side, where that is known.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.accuracy.verification import large_enough
from inference.images import decode
from inference.types import Pixels

DEGREES = (15, 30, 45, 90, 180)
GAINS = (0.25, 0.1, 0.05)
NOISE = 1.5
"""Standard deviation, of 255, that is added to darkened pictures, as a sensor would."""
SIDES = (30, 40)
CANVAS = (1080, 1920)
PORTRAITS = 120
CROWD, ANSWERED = 130, 100
SMALL_SIDE, LARGE_SIDE = 65.0, 80.0
GREY = 128
JPEG_QUALITY = 92


@dataclass(frozen=True)
class Target:
    """A face to be found: its middle, and its side where that is known, in pixels."""

    middle: tuple[float, float]
    side: float | None


@dataclass(frozen=True)
class Scene:
    """`exhaustive`: no other faces are in the picture."""

    image: Pixels
    targets: tuple[Target, ...]
    exhaustive: bool


def labelled(client: Any, folder: Path) -> list[dict[str, Any]]:
    """Recall and precision on the pictures of a folder, turned and darkened. Small faces are no targets."""
    scenes = [_scene(folder, item) for item in json.loads((folder / "annotations.json").read_text())["items"]]
    rng = np.random.default_rng(0)
    ways: dict[str, Callable[[Scene], Scene]] = {
        "as labelled": lambda scene: scene,
        **{f"turned by {degrees} degrees": _turning(degrees) for degrees in DEGREES},
        **{f"darkened to {gain:g}": _darkening(gain, rng) for gain in GAINS},
    }
    return [_measure(client, name, map(way, scenes), len(scenes)) for name, way in ways.items()]


def portraits(client: Any, folder: Path) -> list[dict[str, Any]]:
    """Recall on portraits whose faces the service finds as they are: shrunk onto a canvas, and half covered."""
    seen = _portraits(client, folder, PORTRAITS)
    rows = []
    for side in SIDES:
        scenes = [_canvas(seen[first : first + 40], side) for first in range(0, len(seen), 40)]
        rows.append(_measure(client, f"{side} pixels in {CANVAS[1]} x {CANVAS[0]}", scenes, len(scenes)))
    covered = [replace(scene, image=_covered(scene)) for scene in seen]
    return [*rows, _measure(client, "lower half covered", covered, len(covered))]


def many(client: Any, folder: Path) -> dict[str, int]:
    """One portrait many times in one picture: ANSWERED large copies, and between them smaller ones, CROWD in all."""
    (scene,) = _portraits(client, folder, 1)
    small = np.random.default_rng(0).permutation(CROWD) >= ANSWERED
    crowd = np.full((2200, 3000, 3), GREY, np.uint8)
    middles, left, top, row = [], 0, 0, 0
    for is_small in small:
        tile, target = _shrunk(scene, SMALL_SIDE if is_small else LARGE_SIDE)
        high, wide = tile.shape[:2]
        if left + wide > crowd.shape[1]:
            left, top, row = 0, top + row, 0
        crowd[top : top + high, left : left + wide] = tile
        middles.append((target.middle[0] + left, target.middle[1] + top))
        left, row = left + wide, max(row, high)
    boxes = _detect(client, crowd)
    large = [middle for middle, is_small in zip(middles, small, strict=True) if not is_small]
    largest = sum(any(_holds(box, middle) for box in boxes) for middle in large)
    return {"faces": CROWD, "answered": len(boxes), "largest": largest}


def _measure(client: Any, name: str, scenes: Iterable[Scene], count: int) -> dict[str, Any]:
    faces = found = answered = right = 0
    for scene in tqdm(scenes, total=count, desc=name, file=sys.stderr, mininterval=5):
        boxes = _detect(client, scene.image)
        taken = _matched(scene.targets, boxes)
        faces, found = faces + len(scene.targets), found + len(taken)
        if scene.exhaustive:
            answered, right = answered + len(boxes), right + len(taken)
    return {
        "subset": name,
        "faces": faces,
        "found": found,
        "precision": right / answered if answered else None,
    }


def _matched(targets: Sequence[Target], boxes: np.ndarray) -> set[int]:
    taken: set[int] = set()
    for target in targets:
        fits = (n for n, box in enumerate(boxes) if n not in taken and _holds(box, target.middle))
        hit = next((n for n in fits if target.side is None or 0.4 < _side(boxes[n]) / target.side < 2.5), None)
        if hit is not None:
            taken.add(hit)
    return taken


def _detect(client: Any, image: Pixels) -> np.ndarray:
    """float [N, 4] x, y, width, height in pixels."""
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    faces = client.detect_faces(Image={"Bytes": encoded.tobytes()})["FaceDetails"]
    high, wide = image.shape[:2]
    boxes = [[face["BoundingBox"][member] for member in ("Left", "Top", "Width", "Height")] for face in faces]
    return np.array(boxes, float).reshape(-1, 4) * [wide, high, wide, high]


def _scene(folder: Path, item: dict[str, Any]) -> Scene:
    eyes = ((face, face.get("eye_distance")) for face in item["faces"])
    faces = [face for face, distance in eyes if not face.get("small") and (distance is None or distance >= 5)]
    return Scene(decode((folder / item["file"]).read_bytes()), tuple(map(_target, faces)), bool(item["exhaustive"]))


def _target(face: dict[str, Any]) -> Target:
    if face["box"] is None:
        x, y = face["points"]["nose"]
        return Target((x, y), None)
    x, y, wide, high = face["box"]
    return Target((x + wide / 2, y + high / 2), math.sqrt(wide * high))


def _portraits(client: Any, folder: Path, count: int) -> list[Scene]:
    scenes: list[Scene] = []
    for item in json.loads((folder / "annotations.json").read_text())["items"]:
        image = decode(large_enough((folder / item["file"]).read_bytes()))
        boxes = _detect(client, image)
        if len(boxes) == 1:
            x, y, wide, high = boxes[0]
            scenes.append(Scene(image, (Target((x + wide / 2, y + high / 2), math.sqrt(wide * high)),), True))
        if len(scenes) == count:
            break
    return scenes


def _turning(degrees: float) -> Callable[[Scene], Scene]:
    def turn(scene: Scene) -> Scene:
        high, wide = scene.image.shape[:2]
        sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
        to_wide, to_high = round(wide * cosine + high * sine), round(high * cosine + wide * sine)
        matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1)
        matrix[:, 2] += [(to_wide - wide) / 2, (to_high - high) / 2]
        turned = np.asarray(cv2.warpAffine(scene.image, matrix, (to_wide, to_high)), np.uint8)

        def moved(target: Target) -> Target:
            x, y = (matrix[:, :2] @ target.middle + matrix[:, 2]).tolist()
            return replace(target, middle=(x, y))

        return replace(scene, image=turned, targets=tuple(map(moved, scene.targets)))

    return turn


def _darkening(gain: float, rng: np.random.Generator) -> Callable[[Scene], Scene]:
    def darken(scene: Scene) -> Scene:
        dark = scene.image * gain + rng.normal(0, NOISE, scene.image.shape)
        return replace(scene, image=np.asarray(dark.round().clip(0, 255), np.uint8))

    return darken


def _shrunk(scene: Scene, side: float) -> tuple[Pixels, Target]:
    (target,) = scene.targets
    assert target.side is not None
    scale = side / target.side
    small = cv2.resize(scene.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = target.middle
    return np.asarray(small, np.uint8), Target((x * scale, y * scale), side)


def _canvas(scenes: Sequence[Scene], side: float) -> Scene:
    """Up to 40 portraits on one canvas, in eight columns."""
    high, wide = CANVAS
    canvas, targets = np.full((high, wide, 3), GREY, np.uint8), []
    for n, scene in enumerate(scenes):
        tile, target = _shrunk(scene, side)
        left, top = n % 8 * (wide // 8), n // 8 * (high // 5)
        tile = tile[: high // 5, : wide // 8]
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        targets.append(replace(target, middle=(target.middle[0] + left, target.middle[1] + top)))
    return Scene(canvas, tuple(targets), True)


def _covered(scene: Scene) -> Pixels:
    """The lower half of the face under a grey rectangle."""
    (target,) = scene.targets
    assert target.side is not None
    (x, y), reach = target.middle, 0.6 * target.side
    image = scene.image.copy()
    image[round(y) : round(y + 1.2 * reach), max(0, round(x - reach)) : round(x + reach)] = GREY
    return image


def _holds(box: np.ndarray, middle: tuple[float, float]) -> bool:
    x, y, wide, high = box
    return bool(x <= middle[0] <= x + wide and y <= middle[1] <= y + high)


def _side(box: np.ndarray) -> float:
    return math.sqrt(box[2] * box[3])
