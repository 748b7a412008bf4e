"""What a run of a network gains when its threads spin between its operators instead of sleeping there: the time of a
run, and the processor time that it and the moment behind it take, beside those on one thread. On made pictures.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from benchmarks import record
from benchmarks.inputs import crowds
from benchmarks.inputs.crowds import Crowd
from benchmarks.speed.eight_bits import inputs
from inference.packs import store

PACK = "base"
NETWORKS = ("face_detector", "face_embedder", "object_detector", "image_classifier", "text_detector")
CROWD, PICTURES, RUNS = Crowd(1024, 4), 6, 25
MOMENT_SECONDS = 0.003
"""Before a run, so that its threads sleep, and behind it, where spinning ones would go on."""
THREADS = 2
WAYS = {
    "asleep": {"session.intra_op.allow_spinning": "0"},
    "spinning": {"session.force_spinning_stop": "1"},
    "alone": {"session.intra_op.allow_spinning": "0"},
}


def main() -> int:
    example = "Example: python -m benchmarks.speed.spinning --save spinning"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.spinning", description=__doc__, epilog=example)
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    samples = inputs([crowds.picture(CROWD, seed) for seed in range(PICTURES)], arguments.models)
    rows = []
    for name in tqdm(NETWORKS, "networks", disable=None):
        path = store.network_path(arguments.models, PACK, name)
        rows.append({"network": name, **compare(path, samples[name].kept[0])})
    for row in rows:
        print(
            "{network}: {asleep_ms:.1f} ms with threads that sleep between operators, {spinning_ms:.1f} with such that "
            "spin, {alone_ms:.1f} on one; {asleep_processor_ms:.1f}, {spinning_processor_ms:.1f} and "
            "{alone_processor_ms:.1f} of processor time".format(**row)
        )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'rows': rows})}")
    return 0


def compare(path: Path, given: Sequence[np.ndarray]) -> dict[str, Any]:
    """Milliseconds of a run and of the processor time it takes, for each of WAYS, which take turns: medians."""
    sessions = {way: _session(path, way) for way in WAYS}
    names = [node.name for node in sessions["alone"].get_inputs()]
    feed = dict(zip(names, given, strict=True))
    taken: dict[str, list[float]] = {f"{way}_{kind}": [] for way in WAYS for kind in ("ms", "processor_ms")}
    for _ in range(RUNS):
        for way, session in sessions.items():
            time.sleep(MOMENT_SECONDS)
            began, spent = time.perf_counter(), time.process_time()
            session.run(None, feed)
            taken[f"{way}_ms"].append(time.perf_counter() - began)
            time.sleep(MOMENT_SECONDS)
            taken[f"{way}_processor_ms"].append(time.process_time() - spent)
    return {name: 1e3 * statistics.median(values) for name, values in taken.items()}


def _session(path: Path, way: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if way == "alone" else THREADS
    options.enable_cpu_mem_arena = False
    for name, value in WAYS[way].items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    sys.exit(main())
