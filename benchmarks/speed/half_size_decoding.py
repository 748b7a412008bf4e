"""What decoding large JPEGs at half their size, which libjpeg does among its frequencies, would save, and what it would
do to the answers: the faces of made pictures, where they are, how sharp they seem, and their embeddings.
"""

import argparse
import asyncio
import io
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import record
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import Crowd
from inference import networks
from inference.images import decode
from inference.networks import ModelServerSettings
from inference.pictures import Picture
from inference.pipelines.faces import FaceNetworks, find_faces
from inference.pipelines.request import FacesRequest
from inference.types import Face, Pixels

SIDE, FACES = 2560, (1, 4, 9, 16)
"""Pixels to the long side, faces of a picture."""
ASKED = FacesRequest(embed="all", attributes=("default",))


def main() -> int:
    example = "Example: python -m benchmarks.speed.half_size_decoding --save half_size_decoding"
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.half_size_decoding", description=__doc__, epilog=example
    )
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--pictures", type=int, default=12, help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    made = (crowds.picture(Crowd(SIDE, FACES[seed % len(FACES)]), seed) for seed in range(arguments.pictures))
    loaded = networks.load(ModelServerSettings("", arguments.models, threads=1)).faces
    result = measure(tqdm(made, "pictures", arguments.pictures, disable=None), loaded)
    for name, value in result.items():
        print(f"  {name}: {value:.4g}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'half_size_decoding': result})}")
    return 0


def measure(pictures: Iterable[bytes], loaded: FaceNetworks) -> dict[str, Any]:
    """Processor time in milliseconds, medians over pictures, and how the faces differ from those of the whole size.

    `box_shift`: of a box's corners, in shares of its width, the median of faces. `sharpness_shift`: in points of 100.
    `embedding_cosine`: between the two of a face.
    """
    spent: list[tuple[float, float, float]] = []
    faces: list[tuple[Face, Face]] = []
    found = found_in_half = 0
    for file in pictures:
        whole, whole_ms = _timed(partial(decode, file))
        half, half_ms = _timed(partial(halved, file))
        # Enlarged again, for how closely the detector looks depends on a picture's size.
        half = cv2.resize(half, whole.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        there, answer_ms = _timed(partial(_faces, whole, loaded))
        there_in_half = _faces(half, loaded)
        spent.append((whole_ms, half_ms, answer_ms))
        found, found_in_half = found + len(there), found_in_half + len(there_in_half)
        faces += [(face, min(there_in_half, key=partial(_shift, face))) for face in there]
    decoding, decoding_half, answering = (statistics.median(of_one) for of_one in zip(*spent, strict=True))
    cosines = [_cosine(one, other) for one, other in faces]
    sharpness = [abs(one.quality.sharpness - other.quality.sharpness) for one, other in faces]
    return {
        "decoding_ms": decoding,
        "decoding_half_ms": decoding_half,
        "networks_ms": answering,
        "faces": found,
        "faces_in_half": found_in_half,
        "box_shift": statistics.median(_shift(one, other) for one, other in faces),
        "sharpness_shift": statistics.median(sharpness),
        "embedding_cosine": statistics.median(cosines),
        "least_embedding_cosine": min(cosines),
    }


def halved(file: bytes) -> Pixels:
    """A JPEG file decoded at half its size: uint8 [H, W, 3] RGB."""
    picture = Image.open(io.BytesIO(file))
    picture.draft("RGB", (picture.width // 2, picture.height // 2))
    return np.asarray(picture)


def _faces(pixels: Pixels, loaded: FaceNetworks) -> Sequence[Face]:
    return asyncio.run(find_faces(Picture(pixels), ASKED, loaded)).faces


def _cosine(face: Face, other: Face) -> float:
    """Of their embeddings, which have length one."""
    assert face.embedding is not None and other.embedding is not None
    return float(face.embedding @ other.embedding)


def _shift(face: Face, other: Face) -> float:
    """The furthest that a side of the box lies from the other's, in shares of the face's width."""
    one, two = face.box, other.box
    sides = (one.left, two.left), (one.top, two.top), (one.left + one.width, two.left + two.width)
    return max(abs(a - b) for a, b in (*sides, (one.top + one.height, two.top + two.height))) / one.width


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and milliseconds of processor time."""
    began = time.process_time()
    return work(), (time.process_time() - began) * 1e3


if __name__ == "__main__":
    sys.exit(main())
