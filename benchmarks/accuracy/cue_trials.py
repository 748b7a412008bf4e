"""Technical cues on the labelled clip, and on programmes drawn here with what could be taken for them."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from benchmarks.inputs import composed, cue_pictures, programmes
from benchmarks.inputs.programmes import Programme
from inference import networks, wire
from inference.images import decode
from inference.networks import ModelServerSettings
from inference.pictures import Picture
from inference.pipelines.text import find_text
from inference.types import Pixels, TextResult
from inference.video.container import probe, split
from inference.video.types import Cue, Shot
from storage.jobs import Job
from workers.analyses import segments
from workers.services import WorkerServices, WorkerSettings

PARAMS = {
    "types": ["cues", "shots"],
    "shot_confidence": 50,
    "cue_confidence": 50,
    "black_pixel_threshold": 0.2,
    "black_coverage": 99,
}
KINDS = ("color_bars", "black_frames", "slate", "opening_credits", "end_credits")
NAMES = {"ColorBars": "color_bars", "BlackFrames": "black_frames", "EndCredits": "end_credits"}
RATE = 25
LEAST_OVERLAP = 0.8
"""Intersection over union, for a found cue to be a true one."""


class Reader:
    """Reads text with the networks of `base` in this process, in the place of the model server's client."""

    def __init__(self, models: Path) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        loading: Future[Any] = asyncio.run_coroutine_threadsafe(self._load(models), self._loop)
        self._networks = loading.result()

    async def _load(self, models: Path) -> Any:
        return networks.load(ModelServerSettings("", models, "base")).text

    def text(self, image: bytes | Pixels, **_: object) -> TextResult:
        pixels = decode(image) if isinstance(image, bytes) else image
        return asyncio.run_coroutine_threadsafe(find_text(Picture(pixels), self._networks), self._loop).result()


@dataclass(frozen=True)
class Found:
    cues: list[Cue]
    shots: list[Shot]


def segments_of(path: Path, reader: Reader) -> Found:
    """What a job with the defaults finds, in this process."""
    services = cast(WorkerServices, SimpleNamespace(inference=reader, settings=WorkerSettings()))
    job = cast(Job, SimpleNamespace(params=PARAMS))
    with path.open("rb") as file:
        info = probe(file)
        seen = [
            one
            for part in split(file, services.settings.part_seconds)
            for one in segments.look(file, part, job, services)
        ]
    results = list(segments.conclude(seen, job, info, services))
    return Found(
        [wire.decode(result.payload, Cue) for result in results if result.name != segments.SHOT],
        [wire.decode(result.payload, Shot) for result in results if result.name == segments.SHOT],
    )


def run(clip: Path, item: dict[str, Any], reader: Reader, folder: Path) -> dict[str, Any]:
    """Precision and recall of each kind of cue on the clip (bounds within its tolerance) and on drawn programmes (by
    overlap)."""
    labelled = [
        (NAMES[one["type"]], one["start_frame"], one["end_frame"]) for one in item["segments"] if one["type"] in NAMES
    ]
    found = segments_of(clip, reader)
    on_clip = {
        "labelled": labelled,
        "found": [(cue.kind, cue.start_frame, cue.end_frame, round(cue.confidence, 1)) for cue in found.cues],
        "scores": _scores([(found.cues, labelled)], lambda cue, one: _bounds(cue, one, item["tolerance_frames"])),
    }
    drawn = []
    trials = []
    for name, programme, sound in programmes_with_cues():
        path = folder / f"{name}.mp4"
        programmes.write(path, programme.frames, Fraction(RATE), sound=sound)
        cues = segments_of(path, reader).cues
        drawn.append((cues, programme.cues))
        trials.append(
            {
                "programme": name,
                "true": programme.cues,
                "found": [
                    (c.kind, c.start_frame, c.end_frame, round(c.confidence, 1)) for c in cues if c.kind in KINDS
                ],
            }
        )
        print(trials[-1], flush=True)
    return {"clip": on_clip, "drawn": {"scores": _scores(drawn, _overlaps), "programmes": trials}}


def programmes_with_cues() -> Iterable[tuple[str, Programme, Callable[[float], float] | None]]:
    """Names, programmes, and the amplitude of a tone by the second."""
    pictures = composed.own_pictures()
    black, ground = cue_pictures.plain((0, 0, 0)), [
        cue_pictures.plain((0, 0, 0)),
        cue_pictures.plain((12, 24, 60)),
        cue_pictures.plain((235, 235, 230)),
        cue_pictures.noisy(cue_pictures.plain((30, 30, 30)), 3, 1),
    ]  # fmt: skip

    def content(programme: Programme, number: int, seconds: float = 4) -> None:
        random = np.random.default_rng(number)
        picture = pictures[number % len(pictures)]
        programme.append(list(programmes.shot(picture, int(seconds * RATE), "handheld", random)))

    bars = {
        "smpte": cue_pictures.smpte(),
        "ebu": cue_pictures.ebu(),
        "ebu_full": cue_pictures.ebu(1.0),
        "wide": cue_pictures.wide(),
        "pillarboxed": cue_pictures.pillarboxed(cue_pictures.smpte()),
        "noisy": cue_pictures.noisy(cue_pictures.smpte(), 20, 2),
    }
    for n, (name, picture) in enumerate(bars.items()):
        programme = Programme()
        programme.append([picture] * 50, cue="color_bars")
        programme.append([black] * 25, cue="black_frames")
        content(programme, n)
        yield f"bars_{name}", programme, None
    programme = Programme()
    for seed in range(6):
        programme.append([cue_pictures.striped(seed)] * 25)
    programme.append([cue_pictures.rainbow()] * 25)
    yield "striped_pictures", programme, None
    for n, font in enumerate(cue_pictures.FONTS):
        programme = Programme()
        content(programme, n, 6)
        programme.append(list(cue_pictures.rolling(200, font, ground[n % 4 if n % 4 != 2 else 0])), cue="end_credits")
        programme.append([black] * 25, cue="black_frames")
        yield f"rolled_{font}", programme, None
    for n, font in enumerate(cue_pictures.FONTS[:4]):
        programme = Programme()
        content(programme, n, 6)
        content(programme, n + 1, 5)
        first = len(programme.frames)
        for pair in cue_pictures.CREDITS[n : n + 4]:
            programme.append([cue_pictures.card(pair, font, ground[n % 4])] * 50)
        programme.cues.append(("end_credits", first, len(programme.frames)))
        yield f"carded_{font}", programme, None
    for n, font in enumerate(cue_pictures.FONTS[:2]):
        programme = Programme()
        for pair in cue_pictures.CREDITS[n : n + 3]:
            programme.append([cue_pictures.card(pair, font, ground[n % 4])] * 40)
        programme.cues.append(("opening_credits", 0, len(programme.frames)))
        content(programme, n, 9)
        content(programme, n + 1, 9)
        yield f"opening_{font}", programme, None
    for n, font in enumerate(cue_pictures.FONTS[1:4]):
        programme = Programme()
        programme.append([cue_pictures.card(cue_pictures.SLATE, font, ground[n % 4], 22)] * 75, cue="slate")
        content(programme, n, 6)
        yield f"slate_{font}", programme, None
    yield "subtitles", _captioned(pictures, _subtitled), None
    yield "lower_thirds", _captioned(pictures, _named), None
    programme = Programme()
    for n in range(4):
        programme.append([cue_pictures.card(cue_pictures.SLIDES[n % 2], "DejaVuSans", ground[2 if n < 2 else 1])] * 75)
    yield "slides", programme, None
    for loud in (True, False):
        programme = Programme()
        content(programme, 0)
        programme.append([black] * 50, cue=None if loud else "black_frames")
        content(programme, 1)
        yield (
            f"black_with_sound_{loud}",
            programme,
            (lambda _: 0.2) if loud else (lambda at: 0.2 * (not 3.9 < at < 6.1)),
        )


def _subtitled(number: int, picture: Pixels) -> Pixels:
    return cue_pictures.subtitled(picture, cue_pictures.SUBTITLES[number % 3], "DejaVuSans")


def _named(_number: int, picture: Pixels) -> Pixels:
    return cue_pictures.lower_third(picture, "Ada Brandt", "Director of Music", "DejaVuSans")


def _captioned(pictures: Sequence[Pixels], draw: Callable[[int, Pixels], Pixels]) -> Programme:
    programme = Programme()
    for n, picture in enumerate(pictures):
        frames = programmes.shot(picture, 75, "handheld", np.random.default_rng(n))
        programme.append([draw(n, frame) for frame in frames])
    return programme


def _scores(
    trials: Iterable[tuple[Sequence[Cue], Sequence[tuple[str, int, int]]]],
    same: Callable[[Cue, tuple[str, int, int]], bool],
) -> dict[str, dict[str, float]]:
    counts = {kind: [0, 0, 0] for kind in KINDS}
    for found, true in trials:
        for kind in KINDS:
            ours = [cue for cue in found if cue.kind == kind]
            theirs = [one for one in true if one[0] == kind]
            counts[kind][0] += sum(any(same(cue, one) for cue in ours) for one in theirs)
            counts[kind][1] += len(ours)
            counts[kind][2] += len(theirs)
    return {kind: _score(*three) for kind, three in counts.items()}


def _score(right: int, found: int, true: int) -> dict[str, float]:
    precision, recall = right / max(found, 1), right / max(true, 1)
    return {"right": right, "found": found, "true": true, "precision": precision, "recall": recall}


def _bounds(cue: Cue, one: tuple[str, int, int], tolerance: int) -> bool:
    return abs(cue.start_frame - one[1]) <= tolerance and abs(cue.end_frame + 1 - one[2]) <= tolerance


def _overlaps(cue: Cue, one: tuple[str, int, int]) -> bool:
    shared = min(cue.end_frame + 1, one[2]) - max(cue.start_frame, one[1])
    return shared >= LEAST_OVERLAP * (max(cue.end_frame + 1, one[2]) - min(cue.start_frame, one[1]))
