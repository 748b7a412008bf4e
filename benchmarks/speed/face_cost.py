"""What DetectFaces costs in the model server: processor time by network, of the pixel work, and of the rest.

Runs the pipeline in this process with one thread for each network, one picture after the other, and counts processor
seconds, so that a busy machine disturbs little. The rest is the service's own: the event loop and the ways to the
threads.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2

from benchmarks import record
from inference import face_geometry, networks
from inference.batcher import Batcher
from inference.images import decode
from inference.networks import ModelServerSettings
from inference.pictures import Picture
from inference.pipelines import faces
from inference.pipelines.request import FacesRequest

PIXEL_WORK = (
    (faces, "canvas_of"), (faces, "describe"),
    (face_geometry, "mesh_crop"), (face_geometry, "upright_crop"), (face_geometry, "eye_crops"),
)  # fmt: skip
WARM_UP = 8
EXAMPLE = "Example: python -m benchmarks.speed.face_cost ../shared/evaldata/face_detection/images --save face_cost"
Answer = TypeVar("Answer")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.face_cost", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with JPEG pictures")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(arguments.folder.glob("*.jpg"))]
    result = asyncio.run(measure(pictures, arguments.models))
    print(f"{result['pictures']} pictures, {result['faces']} faces, {result['seconds']:.2f} s of processor time")
    for name, seconds in result["seconds_of"].items():
        print(f"  {name}: {seconds:.2f} s, {result['runs'].get(name, 0)} runs")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'face_cost': result})}")
    return 0


async def measure(pictures: Sequence[bytes], models: Path) -> dict[str, Any]:
    """Processor seconds in all and of each part; `runs` are items for networks and calls for pixel work."""
    cv2.setNumThreads(1)
    loaded = networks.load(ModelServerSettings("", models, threads=1)).faces
    request = FacesRequest(attributes=("default",))
    for data in pictures[:WARM_UP]:
        await faces.find_faces(Picture(decode(data)), request, loaded)
    seconds: defaultdict[str, float] = defaultdict(float)
    runs: Counter[str] = Counter()
    for name, queue in (
        ("detector", loaded.detector),
        ("mesh", loaded.attributes.mesh),
        ("iris", loaded.attributes.iris),
    ):
        _watch_queue(queue, name, seconds, runs)
    for module, name in PIXEL_WORK:
        setattr(module, name, _watched(getattr(module, name), name, seconds, runs, lambda _: 1))
    decode_picture = _watched(decode, "decode", seconds, runs, lambda _: 1)
    began, found = time.process_time(), 0
    for data in pictures:
        found += len((await faces.find_faces(Picture(decode_picture(data)), request, loaded)).faces)
    total = time.process_time() - began
    seconds["the rest"] = total - sum(seconds.values())
    return {
        "pictures": len(pictures),
        "faces": found,
        "seconds": total,
        "seconds_of": dict(seconds),
        "runs": dict(runs),
    }


def _watch_queue(queue: Batcher[Any, Any], name: str, seconds: dict[str, float], runs: Counter[str]) -> None:
    queue._predict = _watched(queue._predict, name, seconds, runs, len)


def _watched(
    work: Callable[..., Answer], name: str, seconds: dict[str, float], runs: Counter[str], items: Callable[[Any], int]
) -> Callable[..., Answer]:
    def watched(*arguments: Any) -> Answer:
        began = time.thread_time()
        answer = work(*arguments)
        seconds[name] += time.thread_time() - began
        runs[name] += items(arguments[0])
        return answer

    return watched


if __name__ == "__main__":
    sys.exit(main())
