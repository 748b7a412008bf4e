"""The analysis of segments: its parts together find what the whole does, and only what was asked for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmarks.inputs import composed, cue_pictures, programmes
from benchmarks.inputs.programmes import Programme
from inference import wire
from inference.types import Line, Pixels, Point, TextResult
from inference.video.container import probe, split
from inference.video.types import Cue, Shot
from storage.jobs import Job, Result
from workers.analyses import segments
from workers.services import WorkerServices, WorkerSettings

ASKED = {
    "types": ["shots", "cues"],
    "shot_confidence": 50,
    "cue_confidence": 50,
    "black_pixel_threshold": 0.2,
    "black_coverage": 99,
}


class FakeReader:
    """Reads the credits that this test draws, which need no network: what is on flat ground says who did what."""

    looks = 0

    def text(self, pixels: Pixels, **_: object) -> TextResult:
        self.looks += 1
        corners = tuple(Point(x, y) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.7, 0.5), (0.3, 0.5)))
        is_card = (pixels[:20] == pixels[0, 0]).mean() > 0.9 and pixels.max() > 200
        said = ("Directed by Ada Brandt", "Music by Jonas Keller") if is_card else ()
        return TextResult(pixels.shape[1], pixels.shape[0], tuple(Line(line, 99.0, corners, ()) for line in said))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars, silent black, two shots, a second of black with a tone, credits."""
    pictures, made = composed.own_pictures(), Programme()
    made.append([cue_pictures.ebu()] * 20)
    made.append([cue_pictures.plain((0, 0, 0))] * 20)
    for number in range(2):
        made.append(list(programmes.shot(pictures[number], 45, "pan", np.random.default_rng(number))))
    made.append([cue_pictures.plain((0, 0, 0))] * 20)
    made.append([cue_pictures.card(("Directed by", "Ada Brandt"), "DejaVuSans", cue_pictures.plain((0, 0, 0)))] * 90)
    path = tmp_path_factory.mktemp("segments") / "clip.mp4"
    programmes.write(path, made.frames, key_frames=15, sound=lambda at: 0.3 if at > 3 else 0.0)
    return path


def found(path: Path, part_seconds: float, **changed: Any) -> tuple[list[Result], FakeReader]:
    reader = FakeReader()
    services = cast(WorkerServices, SimpleNamespace(inference=reader, settings=WorkerSettings()))
    job = cast(Job, SimpleNamespace(params=ASKED | changed))
    with path.open("rb") as file:
        parts = split(file, part_seconds)
        seen = [one for part in parts for one in segments.look(file, part, job, services)]
        return list(segments.conclude(seen, job, probe(file), services)), reader


def test_the_parts_find_what_the_whole_does(clip: Path) -> None:
    with clip.open("rb") as file:
        assert len(split(file, 0)) > 5
    whole, _ = found(clip, 1e6)
    assert found(clip, 0)[0] == whole
    assert found(clip, 2)[0] == whole


def test_cues_and_shots(clip: Path) -> None:
    results, _ = found(clip, 1e6)
    cues = [wire.decode(result.payload, Cue) for result in results if result.name != "shot"]
    shots = [wire.decode(result.payload, Shot) for result in results if result.name == "shot"]
    assert [(cue.kind, cue.start_frame, cue.end_frame) for cue in cues] == [
        ("color_bars", 0, 19),
        ("black_frames", 19, 39),
        ("content", 39, 149),
        ("end_credits", 149, 239),
    ]
    assert [(shot.start_frame, shot.end_frame) for shot in shots] == [(0, 19), (40, 84), (85, 129), (150, 239)]
    assert [result.at_ms for result in results] == [one.start_ms for one in (*cues, *shots)]


def test_only_what_was_asked_for(clip: Path) -> None:
    results, reader = found(clip, 1e6, types=["shots"])
    assert {result.name for result in results} == {"shot"}
    assert reader.looks == 0
    results, reader = found(clip, 1e6, types=["cues"], cue_confidence=100)
    assert "shot" not in {result.name for result in results}
    assert 0 < reader.looks < 10
    assert all(result.rank == 100 for result in results)
