"""What a CUDA machine gives: the networks alone, the model server's work on pictures, decoding and search on the card,
and the definitions of `openrek bench` with the torch engine.

    python -m benchmarks.cuda

On another machine it says so and ends with status 1. `--device cpu --small` runs the same code in miniature there, to
show that it runs; its figures mean nothing.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks import record
from benchmarks.harness.definition import FOLDER
from benchmarks.harness.runner import MET, MISSED
from inference import networks
from inference.engine import Session
from inference.images import decode
from inference.networks import ModelServerSettings, Networks
from inference.packs.store import network_path
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.request import FacesRequest, LabelsRequest
from inference.pipelines.text import find_text
from openrek.settings import Settings
from vectorindex.halfprecision import HalfPrecision

PACK = "base"
PICTURES = Path(__file__).parents[1] / "openrek" / "pictures"
SHAPES: dict[str, tuple[int, ...]] = {
    "body_pose": (192, 192, 3),
    "emotion": (64, 64, 1),
    "explicit_classifier": (224, 224, 3),
    "face_attributes": (224, 224, 3),
    "face_detector": (3, 640, 640),
    "face_embedder": (3, 112, 112),
    "face_mesh": (192, 192, 3),
    "image_classifier": (3, 260, 260),
    "iris": (64, 64, 3),
    "object_detector": (512, 512, 3),
    "text_detector": (3, 640, 640),
    "text_orientation": (3, 48, 192),
    "text_recognizer": (3, 48, 320),
}
"""Of one input, where sizes are free a usual one."""
Pipeline = Callable[[Picture, Networks], Awaitable[object]]
PIPELINES: dict[str, Pipeline] = {
    "faces": lambda picture, loaded: find_faces(picture, FacesRequest(embed="all"), loaded.faces),
    "attributes": lambda picture, loaded: find_faces(picture, FacesRequest(attributes=("all",)), loaded.faces),
    "labels": lambda picture, loaded: find_labels(picture, LabelsRequest(), loaded.labels),
    "moderation": lambda picture, loaded: moderate(picture, loaded.moderation),
    "text": lambda picture, loaded: find_text(picture, loaded.text),
}
"""What is done with one picture; `faces` detects and embeds."""
DEFINITIONS = {"images": "images", "images_faces": "images", "search": "search", "video": "video"}
"""Definitions of `openrek bench` and their kinds."""
PUBLISHED_FACES = 820.0
"""Images a second, detected and embedded, that others state for an RTX 4090 with TensorRT."""
DIMENSION = 512
UNDER_WAY = 64
"""Pictures under way at once."""


@dataclass(frozen=True)
class Size:
    """How much is measured. `runs` of each timed piece of work, after `unseen` that do not count: the second run of a
    network's shape captures it. `rows` of the gallery."""

    batches: tuple[int, ...]
    unseen: int
    runs: int
    pictures: int
    rows: int
    queries: tuple[int, ...]
    copied_bytes: int


FULL = Size((1, 2, 4, 8, 16, 32, 64, 128), 3, 20, 2000, 20_000_000, (1, 8, 64), 4 << 30)
SMALL = Size((1, 2), 0, 1, 2, 10_000, (1, 8), 1 << 20)


@dataclass(frozen=True)
class Place:
    """`device` is PyTorch's name, `engine` that of the model server's device."""

    device: str
    models: Path
    size: Size

    @property
    def engine(self) -> str:
        return f"torch-{self.device}"

    def seconds(self, work: Callable[[], object]) -> float:
        """Of one run, the median, until the card has finished."""
        taken = []
        for run in range(self.size.unseen + self.size.runs):
            begin = time.perf_counter()
            work()
            if self.device == "cuda":
                torch.cuda.synchronize()
            if run >= self.size.unseen:
                taken.append(time.perf_counter() - begin)
        return statistics.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="in miniature, and no definitions unless they are named")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--bench", nargs="*", metavar="DEFINITION", help=f"of {', '.join(DEFINITIONS)}; default all")
    parser.add_argument("--results", type=Path, default=record.RESULTS, help="folder (default benchmarks/results)")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no CUDA device on this machine; see docs/gpu.md", file=sys.stderr)
        return 1
    place = Place(chosen.device, Settings.from_environment(os.environ).models_dir, SMALL if chosen.small else FULL)
    name = re.sub(r"[^a-z0-9]+", "_", f"{chosen.device} {_card(place)['name']}".lower()).strip("_")
    result: dict[str, Any] = {"card": _card(place), "small": chosen.small, "published_faces": PUBLISHED_FACES}
    for part in chosen.parts:
        print(f"{part} ...", file=sys.stderr)
        result[part] = PARTS[part](place)
        print(record.save(name, result, chosen.results), file=sys.stderr)
    asked = chosen.bench if chosen.bench is not None else [] if chosen.small else list(DEFINITIONS)
    failed = [one for one in asked if not _bench(place, one, f"{name}_{one}", chosen.results)]
    if failed:
        print(f"not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _card(place: Place) -> dict[str, Any]:
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if place.device == "cpu":
        return {"name": "no card", **versions}
    card = torch.cuda.get_device_properties(0)
    return {"name": card.name, "gib": card.total_memory / 2**30, "processors": card.multi_processor_count, **versions}


def measured_networks(place: Place) -> dict[str, Any]:
    """Each network alone in a loop, from arrays of the host to arrays of the host: items a second by batch size."""
    found = {}
    for name, shape in SHAPES.items():
        session = Session(network_path(place.models, PACK, name), place.engine, _threads())
        rates = _rates(place, session, shape)
        best = max(rates, key=lambda batch: rates[batch])
        found[name] = {"best_batch": best, "per_second": rates[best], "by_batch": rates}
    return found


def _rates(place: Place, session: Session, shape: tuple[int, ...]) -> dict[int, float]:
    """Items a second by the size of batches."""
    rates, draw = {}, np.random.default_rng(0)
    for batch in place.size.batches:
        inputs = [draw.uniform(0, 1, (batch, *shape)).astype(np.float32)]
        rates[batch] = batch / place.seconds(partial(session.run, inputs))
    return rates


def measured_pipelines(place: Place) -> dict[str, Any]:
    """JPEG files in, answers out, through the model server's own code: pictures a second, beside the limit of the card,
    which is what the same runs of the networks take alone at their best batch sizes."""
    files = [path.read_bytes() for path in sorted(PICTURES.glob("*.jpg"))]
    loaded = networks.load(ModelServerSettings("", place.models, PACK, device=place.engine, threads=_threads()))
    return {name: _pipeline(place, files, loaded, work) for name, work in PIPELINES.items()}


def _pipeline(place: Place, files: Sequence[bytes], loaded: Networks, work: Pipeline) -> dict[str, Any]:
    async def one(file: bytes, free: asyncio.Semaphore) -> None:
        async with free:
            pixels = await loaded.chores.run(decode, file)
            await work(Picture(pixels), loaded)

    async def all_of(count: int) -> float:
        free, begin = asyncio.Semaphore(UNDER_WAY), time.perf_counter()
        await asyncio.gather(*(one(files[number % len(files)], free) for number in range(count)))
        return count / (time.perf_counter() - begin)

    with _noted_items() as items:
        asyncio.run(all_of(len(files)))
    rates = [asyncio.run(all_of(place.size.pictures)) for _ in range(4)]
    alone = {run: max(_rates(place, *run).values()) for run in items}
    seconds = sum(count / alone[run] for run, count in items.items()) / len(files)
    rate = statistics.median(rates[1:])
    return {
        "per_second": rate,
        "networks_alone_per_second": 1 / seconds,
        "ratio": rate * seconds,
        "items_per_picture": sum(items.values()) / len(files),
    }


@contextmanager
def _noted_items() -> Iterator[Counter[tuple[Session, tuple[int, ...]]]]:
    """How many items of which shape each network is given meanwhile."""
    items: Counter[tuple[Session, tuple[int, ...]]] = Counter()
    run = Session.run

    def noted(session: Session, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        items[session, inputs[0].shape[1:]] += len(inputs[0])
        return run(session, inputs)

    with mock.patch.object(Session, "run", noted):
        yield items


def measured_decoding(place: Place) -> dict[str, Any]:
    """JPEG files a second in batches: by torchvision on the device, and as the model server does, in threads."""
    files = [path.read_bytes() for path in sorted(PICTURES.glob("*.jpg"))] * max(1, max(place.size.batches) // 4)
    result: dict[str, Any] = {"files": len(files), "server_per_second": len(files) / place.seconds(_decoder(files))}
    try:
        from torchvision.io import decode_jpeg
    except (ImportError, RuntimeError) as error:
        return {**result, "device_per_second": None, "why_not": f"no torchvision for this PyTorch: {error}"}
    encoded = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
    try:
        seconds = place.seconds(lambda: decode_jpeg(encoded, device=place.device))
    except RuntimeError as error:
        return {**result, "device_per_second": None, "why_not": f"torchvision without nvJPEG: {error}"}
    return {**result, "device_per_second": len(files) / seconds}


def _decoder(files: Sequence[bytes]) -> Callable[[], object]:
    threads = ThreadPoolExecutor(_threads())
    return lambda: list(threads.map(decode, files))


def measured_search(place: Place) -> dict[str, Any]:
    """Exact search in half precision over random vectors of unit length, beside what reading all of them once takes at
    the rate at which the device copies memory."""
    device, rows = torch.device(place.device), _rows_that_fit(place)
    gallery, block = HalfPrecision(DIMENSION, place.device), min(rows, 1_000_000)
    draw = torch.Generator(device).manual_seed(0)
    # Room for all of them at once: growing copies.
    gallery.append(torch.empty((rows, DIMENSION), dtype=torch.float16, device=device))
    for start in range(0, rows, block):
        drawn = torch.randn((min(block, rows - start), DIMENSION), device=device, generator=draw, dtype=torch.float32)
        unit = (drawn / drawn.norm(dim=1, keepdim=True)).half()
        gallery.put(np.arange(start, start + len(unit)), unit)
        if start == 0:
            probes = unit[: max(place.size.queries)].float().cpu().numpy()
    bandwidth = _bandwidth(place)
    limit = rows * DIMENSION * 2 / bandwidth
    found = []
    for count in place.size.queries:
        _, nearest = gallery.nearest(probes[:count], 10)
        seconds = place.seconds(partial(gallery.nearest, probes[:count], 10))
        found.append(
            {
                "queries": count,
                "ms": seconds * 1e3,
                "queries_per_second": count / seconds,
                "ratio_to_reading_once": limit / seconds,
                "found_itself": float((nearest[:, 0] == np.arange(count)).mean()),
            }
        )
    return {
        "rows": rows,
        "dimension": DIMENSION,
        "copy_bytes_per_second": bandwidth,
        "limit_ms": limit * 1e3,
        "by": found,
    }


def _rows_that_fit(place: Place) -> int:
    """The gallery, grown by a quarter, and what is drawn beside it have to fit on the card."""
    if place.device == "cpu":
        return place.size.rows
    free, _ = torch.cuda.mem_get_info()
    return min(place.size.rows, int(free * 0.9 / 2.25 / (DIMENSION * 2)))


def _bandwidth(place: Place) -> float:
    """Bytes a second that the device reads and writes when it copies."""
    source = torch.zeros(place.size.copied_bytes, dtype=torch.uint8, device=place.device)
    target = torch.empty_like(source)
    return 2 * place.size.copied_bytes / place.seconds(lambda: target.copy_(source))


def _bench(place: Place, name: str, stored: str, results: Path) -> bool:
    """Runs a definition of `openrek bench` with networks and vectors on the device; whether that went well. Its bars
    are for machines without a card and are not judged here."""
    kind, text = DEFINITIONS.get(name, name), (FOLDER / f"{name}.toml").read_text()
    devices = {"OPENREK_INFERENCE_DEVICE": place.engine, "OPENREK_VECTORINDEX_DEVICE": place.device}
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / f"{name}.toml"
        # What is measured in the process of the benchmark names its device in the definition.
        asked.write_text(re.sub(r'^device = ".*"$', f'device = "{place.device}"', text, flags=re.MULTILINE))
        command = [sys.executable, "-P", "-m", "openrek", "bench", kind, "--definition", str(asked)]
        command += ["--name", stored, "--results", str(results)]
        done = subprocess.run(command, env={**os.environ, **devices})
    return done.returncode in (MET, MISSED)


def _threads() -> int:
    return os.cpu_count() or 1


PARTS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "networks": measured_networks,
    "pipelines": measured_pipelines,
    "decoding": measured_decoding,
    "search": measured_search,
}

if __name__ == "__main__":
    sys.exit(main())
