"""What networks of a pack gain by weights and activations of eight bits, and a models folder to measure what they lose.

Each network is quantised after what it sees in the pictures of some folders (static, by ONNX Runtime: activations by
their least and greatest value, weights by channel), and runs in turns with the one of the pack, on one thread, on the
same inputs. The folder that is written is the pack with those networks in place of its own:

    python -m benchmarks.speed.eight_bits FOLDER... --to EIGHT --save eight_bits
    OPENREK_MODELS_DIR=EIGHT openrek bench accuracy --data SETS --name accuracy_eight_bits
"""

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantType, quant_pre_process, quantize_static
from tqdm import tqdm

from benchmarks import record
from benchmarks.speed.image_operations import OPERATIONS
from benchmarks.speed.images import pictures_in
from benchmarks.speed.replay import answer
from inference import networks
from inference.engine import OnnxRuntime
from inference.networks import ModelServerSettings
from inference.packs import catalogue, store

PACK = "base"
NETWORKS = ("text_detector", "text_recognizer", "object_detector", "image_classifier", "face_embedder")
ASKED = ("DetectText", "DetectLabels", "SearchFacesByImage")
"""Operations that show the networks their inputs."""
LEAST_OPSET = 13
"""The first that knows scales by channel."""
CALIBRATED_ON, MEASURED_ON, TURNS = 96, 12, 7
"""Inputs of each network, and how often both forms run on each of the latter."""

Given = list[np.ndarray]


@dataclass
class Sample:
    """Up to CALIBRATED_ON of a network's inputs, each as likely as another (Vitter's algorithm R)."""

    draw: random.Random
    kept: list[Given] = field(default_factory=list)
    seen: int = 0

    def take(self, given: Given) -> None:
        self.seen += 1
        place = len(self.kept) if len(self.kept) < CALIBRATED_ON else self.draw.randrange(self.seen)
        self.kept[place : place + 1] = [given] if place < CALIBRATED_ON else []


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.eight_bits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", type=Path, nargs="+", help="folders with JPEG or PNG pictures")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--to", type=Path, required=True, help="models folder to write")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME", help=f"default {' '.join(NETWORKS)}")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    own, other = arguments.models / PACK, arguments.to / PACK
    shutil.copytree(own, other, dirs_exist_ok=True)
    pictures = [file for folder in arguments.folders for file in pictures_in(folder)]
    samples = inputs(pictures, arguments.models)
    rows = []
    for name in arguments.networks:
        paths = own / f"{name}.onnx", other / f"{name}.onnx"
        install(arguments.to, name, quantised(paths[0], samples[name].kept))
        rows.append({"network": name, "inputs": len(samples[name].kept), **compare(*paths, samples[name].kept)})
        print("{network}: {ms:.1f} ms, in eight bits {eight_bits_ms:.1f}: {speedup:.2f} times".format(**rows[-1]))
    if arguments.save:
        found = {"folders": [folder.parent.name for folder in arguments.folders], "rows": rows}
        print(f"saved {record.save(arguments.save, found)}")
    return 0


def inputs(pictures: Sequence[bytes], models: Path) -> Mapping[str, Sample]:
    """What the networks of the pack are given in these pictures, by name."""
    with _watched() as samples:
        loaded = networks.load(ModelServerSettings("", models, PACK, threads=1))
        for data in tqdm(pictures, "pictures", disable=None):
            for operation in ASKED:
                for asked in OPERATIONS[operation].asks:
                    asyncio.run(answer(asked, data, loaded))
    return samples


def quantised(source: Path, seen: Sequence[Given]) -> bytes:
    """The network in eight bits, scaled after these inputs, as an ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        ready, done = Path(folder) / "ready.onnx", Path(folder) / "done.onnx"
        network = onnx.load(source)
        opset = max(LEAST_OPSET, *(used.version for used in network.opset_import if not used.domain))
        onnx.save(version_converter.convert_version(network, opset), ready)
        quant_pre_process(ready, ready, skip_symbolic_shape=True)
        reader = _Inputs(OnnxRuntime(source, "cpu", 1).input_names, seen)
        kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(ready, done, reader, per_channel=True, **kinds)
        return done.read_bytes()


def install(models: Path, name: str, network: bytes) -> None:
    """In place of the pack's; a server that finds another file than its manifest says pulls the pack's own again."""
    pack = catalogue.load(PACK)
    check = store.read_manifest(models, PACK)["networks"][name]["check"]
    store.install(models, pack, pack.network(name), network, check)


def compare(source: Path, target: Path, seen: Sequence[Given]) -> dict[str, float]:
    """Milliseconds a run of the one and the other, on one thread in turns: medians over inputs, of each one's best."""
    forms = [OnnxRuntime(path, "cpu", 1) for path in (source, target)]
    best = []
    for given in seen[:MEASURED_ON]:
        times = [[_seconds(form, given) for form in forms] for _ in range(TURNS)]
        best.append([min(of_one) * 1e3 for of_one in zip(*times, strict=True)])
    whole, eight = (statistics.median(of_one) for of_one in zip(*best, strict=True))
    return {"ms": whole, "eight_bits_ms": eight, "speedup": statistics.median(one / other for one, other in best)}


@contextmanager
def _watched() -> Iterator[Mapping[str, Sample]]:
    """The inputs of the networks that are loaded meanwhile, by the names of their files."""
    samples: dict[str, Sample] = {}
    load, run = OnnxRuntime.__init__, OnnxRuntime.run

    def watched_load(network: OnnxRuntime, path: Path, device: str, threads: int) -> None:
        load(network, path, device, threads)
        samples[path.stem] = network.sample = Sample(random.Random(path.stem))  # type: ignore[attr-defined]

    def watched_run(network: OnnxRuntime, given: Sequence[np.ndarray]) -> list[np.ndarray]:
        network.sample.take(list(given))  # type: ignore[attr-defined]
        return run(network, given)

    with mock.patch.object(OnnxRuntime, "__init__", watched_load), mock.patch.object(OnnxRuntime, "run", watched_run):
        yield samples


class _Inputs(CalibrationDataReader):  # type: ignore[misc]
    """For the quantiser: each input once, by the names of the network's inputs."""

    def __init__(self, names: Sequence[str], seen: Sequence[Given]) -> None:
        self._left = iter([dict(zip(names, given, strict=True)) for given in seen])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)


def _seconds(network: OnnxRuntime, given: Given) -> float:
    began = time.thread_time()
    network.run(given)
    return time.thread_time() - began


if __name__ == "__main__":
    sys.exit(main())
