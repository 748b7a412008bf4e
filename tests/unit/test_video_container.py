"""What is told of a video before it is analysed, and what is refused."""

import io
import random
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Clip, made, number_of, of_pictures, sound_only
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import InvalidVideo
from inference.video import limits
from inference.video.container import opened, probe, split
from inference.video.frames import decoded, frames
from inference.video.types import AudioInfo, Part, VideoInfo

WHOLE = Part(0, None, None)
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


def test_what_a_video_is() -> None:
    file = made(Clip(frames=60, rate=Fraction(30_000, 1001), container="mov", sound=True))
    sound = AudioInfo("aac", 2005, 48_000, 2)
    info = probe(io.BytesIO(file))
    assert info == VideoInfo("h264", MP4, 2002, 30_000, 1001, 160, 96, False, (sound,))
    assert info.rate == Fraction(30_000, 1001)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (Clip(codec="libx265"), {"codec": "hevc"}),
        (Clip(container="avi"), {"container": "avi", "duration_ms": 1000}),
        (Clip(pixel_format="yuvj420p"), {"full_range": True}),
        (Clip(pixel_format="yuv420p10le"), {"width": 160, "full_range": False}),
        (Clip(turned=90), {"width": 96, "height": 160}),
        (Clip(turned=270), {"width": 96, "height": 160}),
        (Clip(turned=180), {"width": 160, "height": 96}),
        (Clip(aspect=Fraction(16, 11)), {"width": 160, "height": 96}),
        (Clip(container_options={"movflags": "frag_keyframe+empty_moov"}), {"duration_ms": 1000, "rate_numerator": 30}),
        (Clip(frames=12, times=range(50, 62)), {"duration_ms": 400}),
    ],
)
def test_kinds_of_videos(clip: Clip, expected: dict[str, object]) -> None:
    info = probe(io.BytesIO(made(clip)))
    assert {name: getattr(info, name) for name in expected} == expected


LONG = Clip(frames=300, container_options={"movflags": "faststart"})
REFUSED = {
    "empty": (b"", "not an MP4, MOV or AVI video"),
    "not_a_video": (b"\xff\xd8\xff\xe0 neither is this" * 100, "not an MP4, MOV or AVI video"),
    "text": (b"0123456789" * 1000, "not an MP4, MOV or AVI video"),
    "matroska": (made(Clip(container="matroska")), "not an MP4, MOV or AVI video"),
    "transport_stream": (made(Clip(container="mpegts")), "not an MP4, MOV or AVI video"),
    "sound_only": (sound_only(), "no video stream"),
    "other_codec": (made(Clip(codec="mpeg4")), "codec is mpeg4"),
    "without_its_headers": (made(Clip(frames=300))[:9000], "damaged or incomplete"),
    "truncated": (made(LONG)[:-3000], "truncated"),
    "truncated_by_a_byte": (made(LONG)[:-1], "truncated"),
    "too_long": (made(Clip(frames=2, rate=Fraction(1), times=[0, 6 * 3600 + 1], time_base=Fraction(1))), "6 hours"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_analysed_is_refused_with_the_reason(name: str) -> None:
    file, reason = REFUSED[name]
    with pytest.raises(InvalidVideo, match=reason):
        probe(io.BytesIO(file))


@pytest.mark.parametrize(("limit", "value"), [("MOST_SIDE", 159), ("MOST_PIXELS", 160 * 96 - 1)])
def test_frames_too_large_are_refused(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(limits, limit, value)
    with pytest.raises(InvalidVideo, match="160 x 96 pixels are too large"):
        probe(io.BytesIO(made(Clip())))


def test_the_decoder_refuses_frames_that_grow_beyond_the_limit() -> None:
    with opened(io.BytesIO(made(Clip()))) as (container, stream):
        assert int(stream.codec_context.options["max_pixels"]) == limits.MOST_PIXELS
        stream.codec_context.options = {"max_pixels": "1000"}
        with pytest.raises(av.FFmpegError):
            list(container.decode(stream))


def test_no_other_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.mp4").write_bytes(made(Clip()))
    monkeypatch.chdir(tmp_path)
    script = io.BytesIO(b"ffconcat version 1.0\nfile secret.mp4\n")
    with av.open(script) as container:
        assert container.streams.video, "unguarded, this leads to the file"
    with pytest.raises(InvalidVideo):
        probe(script)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.3, 20.0])
@pytest.mark.parametrize("movflags", ["faststart", "frag_keyframe+empty_moov"])
def test_parts_start_at_key_frames_and_have_the_length_at_least(seconds: float, movflags: str) -> None:
    file = made(Clip(frames=300, container_options={"movflags": movflags}))
    parts = split(io.BytesIO(file), seconds)
    with opened(io.BytesIO(file)) as (container, stream):
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert stream.time_base is not None
        least = seconds / stream.time_base
    first = packets[0].pts
    starts = [first, *(part.start for part in parts[1:])]
    assert set(starts) <= {packet.pts for packet in packets if packet.is_keyframe}
    assert all(b - a >= least for a, b in pairwise(starts))
    assert len(parts) == 1 or len(parts) > 10 / (seconds + 1 / 3) - 1
    assert [part.number for part in parts] == list(range(len(parts)))


class Counting(io.BytesIO):
    """Notes how many bytes are read."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


@pytest.fixture(scope="module")
def noise() -> bytes:
    """A minute of video that takes more room than its index."""
    chance = np.random.default_rng(0)
    pictures = [chance.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(60)]
    clip = Clip(rate=Fraction(25), key_every=25, options={"crf": "1", "preset": "ultrafast"})
    return of_pictures([pictures[n % len(pictures)] for n in range(1500)], clip)


def test_splitting_reads_the_index_and_little_else(noise: bytes) -> None:
    file = Counting(noise)
    assert len(split(file, 5)) > 5
    assert file.read_bytes < len(noise) / 4


class Failing(Counting):
    """A file that can be read half."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.read_bytes > len(self.getvalue()) / 2:
            raise ConnectionError("the store has gone")
        return super().read(size)


def test_errors_of_the_file_are_not_taken_for_errors_of_the_video(noise: bytes) -> None:
    with pytest.raises(ConnectionError, match="has gone"):
        list(frames(Failing(noise), WHOLE, 5))


def test_damaged_frames_are_left_out() -> None:
    file = bytearray(made(Clip(frames=60)))
    with opened(io.BytesIO(bytes(file))) as (container, stream):
        damaged = [packet for packet in container.demux(stream) if packet.size][25]
    assert damaged.pos is not None
    file[damaged.pos : damaged.pos + damaged.size] = b"\xff" * damaged.size
    shown = [number_of(frame.pixels) for frame in frames(io.BytesIO(bytes(file)), WHOLE, 30)]
    assert set(range(20)) | set(range(30, 60)) <= set(shown)
    assert len(shown) < 60


@cache
def _small(kind: str) -> bytes:
    clips = {
        "mp4": Clip(frames=12, key_every=5, sound=True),
        "h265": Clip(frames=12, key_every=5, codec="libx265"),
        "avi": Clip(frames=12, key_every=5, container="avi"),
        "fragments": Clip(frames=12, key_every=5, container_options={"movflags": "frag_keyframe+empty_moov"}),
    }
    return made(clips[kind])


@given(
    st.sampled_from(["mp4", "h265", "avi", "fragments"]),
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.booleans(),
)
def test_damaged_files_give_frames_or_are_refused(kind: str, seed: int, count: int, in_headers: bool) -> None:
    av.logging.set_level(None)
    file, chance = bytearray(_small(kind)), random.Random(seed)
    for _ in range(count):
        # The headers of the MP4 files are at their end.
        place = chance.randrange(len(file) - 1500 if in_headers else 0, len(file))
        file[place] = chance.choice([0, 255, file[place] ^ 1 << chance.randrange(8)])
    try:
        info = probe(io.BytesIO(file))
        assert info.width * info.height <= limits.MOST_PIXELS
        for part in split(io.BytesIO(file), 0.3):
            for frame in frames(io.BytesIO(file), part, 5):
                assert frame.pixels.dtype == np.uint8 and 0 <= frame.at_ms <= limits.MOST_SECONDS * 1000
            for shown in decoded(io.BytesIO(file), part):
                assert shown.at_ms >= 0
    except InvalidVideo as error:
        assert str(error)
