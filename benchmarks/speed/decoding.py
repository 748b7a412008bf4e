"""What it takes to decode JPEG files, against Pillow, which decodes those that are not plain; both in turns on made
pictures, with the same pixels.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import record
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import Crowd
from inference import images
from inference.types import Pixels

SIDES, FACES, RUNS = (320, 640, 1280, 2560, 3840), 4, 25


def main() -> int:
    example = "Example: python -m benchmarks.speed.decoding --save decoding"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.decoding", description=__doc__, epilog=example)
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    rows = [compare(side) for side in tqdm(SIDES, "sizes", disable=None)]
    for row in rows:
        print("{side} pixels to the long side: {ms:.1f} ms, Pillow {pillow_ms:.1f}".format(**row))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'rows': rows})}")
    return 0


def compare(side: int) -> dict[str, Any]:
    """Milliseconds for a picture, medians of ways that take turns."""
    file = crowds.picture(Crowd(side, FACES), seed=side)
    ways: dict[str, Callable[[bytes], Pixels]] = {"ms": images.decode, "pillow_ms": by_pillow}
    ours, pillows = (way(file) for way in ways.values())
    assert np.array_equal(ours, pillows)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            began = time.perf_counter()
            way(file)
            taken[name].append(time.perf_counter() - began)
    return {"side": side, **{name: 1e3 * statistics.median(values) for name, values in taken.items()}}


def by_pillow(file: bytes) -> Pixels:
    """uint8 [H, W, 3] RGB."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


if __name__ == "__main__":
    sys.exit(main())
