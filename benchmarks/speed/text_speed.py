"""DetectText against the same networks in a plain loop on the same cores, picture by picture in turns.

The loop does what one would write by hand: decode, show the whole picture to the detector at the scale of the server's
close look, read every box once. The server looks coarsely first and closely only where text may be, judges the
orientation of each line, and reads some twice.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.speed.throughput import fresh
from inference import text_boxes, text_regions
from inference.crops import cut
from inference.images import decode
from inference.models import text_detector, text_recognizer
from inference.packs.store import network_path

EXAMPLE = "Example: python -m benchmarks.speed.text_speed ../shared/evaldata/scene_text/images --pictures 20"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.text_speed", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with JPEG pictures")
    parser.add_argument("--pictures", type=int, default=20, help="default %(default)s")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(arguments.folder.glob("*.jpg"))[: arguments.pictures]]
    result = measure(endpoint.chosen(arguments).client(), plain_loop(arguments.models), pictures)
    print(
        f"{result['pictures']} pictures: plain loop {result['loop_seconds']:.2f} s, DetectText "
        f"{result['endpoint_seconds']:.2f} s (medians); {result['ratio']:.2f} times as fast (median of the pictures)"
    )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'text_speed': result})}")
    return 0


def measure(client: Any, loop: Callable[[bytes], object], pictures: list[bytes]) -> dict[str, Any]:
    """Medians over the pictures; each is sent as a file that the server has not seen."""
    rows = []
    for number, picture in enumerate(tqdm(pictures, file=sys.stderr)):
        jobs = [lambda picture=picture: loop(picture), lambda picture=picture: _call(client, fresh(picture))]
        turns = (0, 1) if number % 2 else (1, 0)
        taken = {turn: _seconds(jobs[turn]) for turn in turns}
        rows.append((taken[0], taken[1]))
    return {
        "pictures": len(rows),
        "loop_seconds": statistics.median(loop for loop, _ in rows),
        "endpoint_seconds": statistics.median(served for _, served in rows),
        "ratio": statistics.median(loop / served for loop, served in rows),
        "load": os.getloadavg()[0],
    }


def plain_loop(models: Path) -> Callable[[bytes], object]:
    cores = os.cpu_count() or 1
    detector = text_detector.load(network_path(models, "base", "text_detector"), "cpu", cores)
    recognizer = text_recognizer.load(network_path(models, "base", "text_recognizer"), "cpu", cores)

    def read(picture: bytes) -> object:
        image = decode(picture, min_side=80)
        height, width = image.shape[:2]
        scale = text_regions.close_scale(width, height)
        wide, high = (-(-round(side * scale) // text_detector.GRID) * text_detector.GRID for side in (width, height))
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        whole = cut(image, middle, (wide / scale, high / scale), 0.0, (wide, high))
        (probabilities,) = detector.predict([whole.pixels])
        boxes = text_boxes.find(probabilities, whole.to_picture)
        return [recognizer.predict([text_recognizer.strip(text_boxes.cut(image, box))]) for box in boxes]

    return read


def _call(client: Any, picture: bytes) -> object:
    return client.detect_text(Image={"Bytes": picture})


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
