"""What comes out of a video: which frames, when, which way up, in which colours."""

import io
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from clips import Clip, made, number_of
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.video.container import opened, split
from inference.video.frames import decoded, frames
from inference.video.packets import marked, needed
from inference.video.pixels import Converter
from inference.video.types import Part

WHOLE = Part(0, None, None)
FORCED_B = {"b-adapt": "0", "bframes": "3"}


def _x264(**params: object) -> dict[str, str]:
    given = {name.replace("_", "-"): value for name, value in (FORCED_B | params).items()}
    return {"x264-params": ":".join(f"{name}={value}" for name, value in given.items())}


def _x265(**params: object) -> dict[str, str]:
    given = {"log-level": "none", "pools": 1, "frame-threads": 1, "b-adapt": 0, "bframes": 4, "scenecut": 0}
    given |= {name.replace("_", "-"): value for name, value in params.items()}
    return {"x265-params": ":".join(f"{name}={value}" for name, value in given.items())}


OPEN = {"open_gop": 1, "keyint": 10, "min_keyint": 10, "scenecut": 0}
UNEVEN = [0, 10, 15, 40, 100, 101, 150, 300, 310, 320, 400, 402, 404, 406, 500, 700, 701, 702, 900, 1000, 1010, 1020]
CLIPS = {
    "plain": Clip(frames=60),
    "b_frames": Clip(frames=60, options=_x264()),
    "open_gop": Clip(frames=60, options=_x264(**OPEN)),
    "no_pyramid": Clip(frames=60, options=_x264(b_pyramid="none", **OPEN)),
    "short_gops": Clip(frames=60, key_every=2, options=_x264(open_gop=1, keyint=2, min_keyint=1, bframes=1)),
    "all_key": Clip(frames=40, key_every=1),
    "one_key": Clip(frames=60, key_every=1000),
    "variable": Clip(frames=22, times=UNEVEN, time_base=Fraction(1, 100), key_every=5, options=_x264()),
    "late": Clip(frames=40, times=range(1000, 1040), options=_x264()),
    "no_edit_list": Clip(frames=40, options=_x264(), container_options={"use_editlist": "0"}),
    "fragments": Clip(frames=60, options=_x264(), container_options={"movflags": "frag_keyframe+empty_moov"}),
    "half_fragments": Clip(frames=60, options=_x264(), container_options={"movflags": "frag_keyframe"}),
    "h265": Clip(frames=60, codec="libx265", options=_x265()),
    "h265_open": Clip(frames=60, codec="libx265", options=_x265(open_gop=1, keyint=10, min_keyint=10)),
    "h265_layers": Clip(frames=60, codec="libx265", options=_x265(temporal_layers=3, keyint=20)),
    "mov_with_sound": Clip(frames=60, container="mov", sound=True),
    "avi": Clip(frames=40, container="avi", options=_x264()),
    "avi_open_gop": Clip(frames=40, container="avi", options=_x264(**OPEN)),
    "ntsc": Clip(frames=60, rate=Fraction(30_000, 1001), options=_x264()),
}


@cache
def _file(name: str) -> bytes:
    return made(CLIPS[name])


def _seconds(name: str) -> list[Fraction]:
    """When the frames of a clip are shown, from the first on."""
    clip = CLIPS[name]
    times = clip.times or range(clip.frames)
    return [(time - times[0]) * (clip.time_base or 1 / clip.rate) for time in times]


def _sampled(
    file: bytes, per_second: float, parts: tuple[Part, ...] = (WHOLE,), threads: int = 1
) -> list[tuple[int, int]]:
    return [
        (frame.at_ms, number_of(frame.pixels))
        for part in parts
        for frame in frames(io.BytesIO(file), part, per_second, threads)
    ]


def _due(name: str, per_second: float) -> list[int]:
    """The frames shown at the multiples of 1 / per_second, by looking at each multiple."""
    times, rate = _seconds(name), Fraction(per_second)
    clip = CLIPS[name]
    last_for = Fraction(1, 16000) if clip.times and clip.time_base else 1 / clip.rate
    numbers, multiple = [], Fraction(0)
    while multiple < times[-1] + last_for:
        shown = max(n for n, time in enumerate(times) if time <= multiple)
        if not numbers or numbers[-1] != shown:
            numbers.append(shown)
        multiple += 1 / rate
    return numbers


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_comes_in_order_with_its_time(name: str) -> None:
    shown = [
        (s.at_ms, number_of(s.picture.to_ndarray(format="rgb24"))) for s in decoded(io.BytesIO(_file(name)), WHOLE)
    ]
    assert shown == [(int(time * 1000), n) for n, time in enumerate(_seconds(name))]


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("per_second", [0.5, 1, 2, 5, 7.3, 1000])
def test_the_frame_shown_at_each_multiple_is_taken(name: str, per_second: float) -> None:
    times = _seconds(name)
    assert _sampled(_file(name), per_second) == [(int(times[n] * 1000), n) for n in _due(name, per_second)]


@pytest.mark.parametrize("threads", [0, 1, 2, 3])
@pytest.mark.parametrize("name", CLIPS)
def test_what_is_not_decoded_changes_no_pixel(name: str, threads: int) -> None:
    converter = Converter()
    whole = {shown.at_ms: converter.pixels(shown.picture) for shown in decoded(io.BytesIO(_file(name)), WHOLE, threads)}
    for per_second in (1, 3, 10):
        for frame in frames(io.BytesIO(_file(name)), WHOLE, per_second, threads):
            assert np.array_equal(frame.pixels, whole[frame.at_ms])


@pytest.mark.parametrize("name", ["plain", "b_frames", "open_gop", "h265", "h265_open", "variable", "fragments"])
def test_every_frame_of_a_part_and_the_first_of_the_next(name: str) -> None:
    parts = split(io.BytesIO(_file(name)), 0.5)
    assert len(parts) > 2
    whole = [shown.at_ms for shown in decoded(io.BytesIO(_file(name)), WHOLE)]
    joined, nexts = [], []
    for part in parts:
        *own, last = decoded(io.BytesIO(_file(name)), part)
        assert not any(shown.is_next_part for shown in own)
        assert last.is_next_part == (part.end is not None)
        joined += [shown.at_ms for shown in (own if last.is_next_part else [*own, last])]
        nexts.append(last.at_ms)
    assert joined == whole
    assert set(nexts[:-1]) < set(whole)


def test_less_is_decoded_than_is_there() -> None:
    clip = Clip(frames=250, rate=Fraction(25), key_every=25, options=_x264(keyint=25, min_keyint=25, scenecut=0))
    file = made(clip)
    with opened(io.BytesIO(file)) as (container, stream):
        packets = [packet for packet in container.demux(stream) if packet.size]
        sent = [
            packet
            for packet, _ in needed(marked(packets, 250 * 512, lambda time, until: time % 12_800 < 512))
            if packet
        ]
    assert len(packets) == 250
    assert len(sent) < 40


@given(st.data())
@settings(max_examples=150)
def test_parts_yield_what_the_whole_does(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CLIPS)))
    per_second = data.draw(st.sampled_from([0.3, 1.0, 2.0, 5.0, 12.5, 29.97, 60.0]) | st.floats(0.2, 60))
    seconds = data.draw(st.floats(0.01, 1.5))
    parts = split(io.BytesIO(_file(name)), seconds)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert parts[0].start is parts[-1].end is None and all(a.end == b.start for a, b in pairwise(parts))
    whole = [(f.at_ms, f.pixels) for f in frames(io.BytesIO(_file(name)), WHOLE, per_second)]
    joined = [(f.at_ms, f.pixels) for part in parts for f in frames(io.BytesIO(_file(name)), part, per_second)]
    assert [at for at, _ in joined] == [at for at, _ in whole]
    for (_, one), (_, other) in zip(whole, joined, strict=True):
        assert np.array_equal(one, other)
