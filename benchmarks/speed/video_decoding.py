"""What sampling costs: frames of a video per second of processor time, against a plain loop that decodes all of them.

Both convert the frames that are asked for to RGB, the loop with PyAV's own defaults. They take turns, with one decoder
thread each; the best round counts, since whatever else runs on the machine only slows them down.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from tqdm import tqdm

from benchmarks import record
from inference.video.container import probe
from inference.video.frames import frames
from inference.video.types import Part

EXAMPLE = (
    "Example: python -m benchmarks.speed.video_decoding ../shared/evaldata/video/clips/*.mp4 --save video_decoding"
)
WHOLE = Part(0, None, None)
EVERY = 1000.0
"""Frames per second of video, more than any clip has."""
RATES = {"1 per second": 1.0, "5 per second": 5.0, "every frame": EVERY}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.video_decoding", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("clips", type=Path, nargs="+", help="videos")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default %(default)s)")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    rows = [row for clip in tqdm(arguments.clips, file=sys.stderr) for row in measure(clip, arguments.rounds)]
    for row in rows:
        print(
            f"{row['clip']:20s} {row['size']:9s} {row['sampled']:12s}: {row['frames_per_second']:6.0f} a second, "
            f"loop {row['loop_frames_per_second']:6.0f}, ratio {row['ratio']:.2f}"
        )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'video_decoding': rows})}")
    return 0


def measure(clip: Path, rounds: int) -> list[dict[str, Any]]:
    """For each rate, how many frames of the video are got through in a second of processor time."""
    file = clip.read_bytes()
    info = probe(io.BytesIO(file))
    rows = []
    for name, per_second in RATES.items():
        ours, loop = [], []
        for _ in range(rounds):
            ours.append(_seconds(_sample, file, per_second))
            loop.append(_seconds(_plain, file, per_second))
        count = _plain(file, EVERY)
        rows.append(
            {
                "clip": clip.stem,
                "codec": info.codec,
                "size": f"{info.width}x{info.height}",
                "sampled": name,
                "frames_per_second": round(count / min(ours), 1),
                "loop_frames_per_second": round(count / min(loop), 1),
                "ratio": round(min(loop) / min(ours), 3),
            }
        )
    return rows


def _seconds(work: Callable[[bytes, float], object], file: bytes, per_second: float) -> float:
    start = time.process_time()
    work(file, per_second)
    return time.process_time() - start


def _sample(file: bytes, per_second: float) -> int:
    return sum(1 for _ in frames(io.BytesIO(file), WHOLE, per_second))


def _plain(file: bytes, per_second: float) -> int:
    """How many frames there are; those next to the multiples of 1 / per_second are converted."""
    count, due = 0, 0.0
    with av.open(io.BytesIO(file), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            count += 1
            if frame.time >= due:
                frame.to_ndarray(format="rgb24", threads=1)
                due += 1 / per_second
    return count


if __name__ == "__main__":
    sys.exit(main())
