"""Small videos whose frames show their own number, made on the spot."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 96
BITS = 15
"""Numbers are below 2 ** BITS; the first of 4 x 4 blocks is always white, so that a turned picture is noticed."""
COLUMNS, ROWS = 4, 4


@dataclass(frozen=True)
class Clip:
    """How a clip is made. `times` are those at which its frames are shown, in ticks of `time_base`; without them they
    follow at `rate`. `turned`: degrees that players turn the stored frames, counter-clockwise, before `mirrored`."""

    frames: int = 30
    rate: Fraction = Fraction(30)
    times: Sequence[int] | None = None
    time_base: Fraction | None = None
    codec: str = "libx264"
    container: str = "mp4"
    pixel_format: str = "yuv420p"
    width: int = WIDTH
    height: int = HEIGHT
    key_every: int = 10
    turned: int = 0
    mirrored: bool = False
    aspect: Fraction | None = None
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    sound: bool = False


def made(clip: Clip) -> bytes:
    """The file of a clip of numbered frames."""
    return of_pictures([numbered(n, clip.width, clip.height) for n in range(clip.frames)], clip)


def of_pictures(pictures: Sequence[NDArray[np.uint8]], clip: Clip) -> bytes:
    """The file of a clip of such pictures, uint8 [H, W, 3] RGB."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "clip"
        _write(file, pictures, clip)
        return file.read_bytes()


def sound_only(seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.mux(_hum(container.add_stream("aac", rate=48_000, layout="stereo"), seconds))
    return file.getvalue()


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A frame that shows its number as black and white blocks, the lowest bit first: uint8 [H, W, 3]."""
    bits = np.array([1, *(number >> bit & 1 for bit in range(BITS))], np.uint8).reshape(ROWS, COLUMNS)
    blocks = np.kron(bits * 200 + 20, np.ones((height // ROWS, width // COLUMNS), np.uint8))
    picture = np.full((height, width), 128, np.uint8)
    picture[: blocks.shape[0], : blocks.shape[1]] = blocks
    return np.repeat(picture[:, :, None], 3, axis=2)


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number that an upright frame shows; AssertionError when it shows none."""
    height, width = pixels.shape[0] // ROWS, pixels.shape[1] // COLUMNS
    grey = pixels.mean(axis=2)
    blocks = grey[: height * ROWS, : width * COLUMNS].reshape(ROWS, height, COLUMNS, width).mean(axis=(1, 3))
    assert np.abs(blocks - 120).min() > 50, "the blocks are neither black nor white"
    bits = (blocks > 120).ravel()
    assert bits[0], "the frame is turned"
    return int(sum(1 << bit for bit, white in enumerate(bits[1:]) if white))


_ENCODER: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "18", "threads": "1", "sc_threshold": "0", "bf": "3"},
    "libx265": {"preset": "ultrafast", "crf": "18", "x265-params": "log-level=none:pools=1:frame-threads=1"},
}


def _write(file: Path, pictures: Sequence[NDArray[np.uint8]], clip: Clip) -> None:
    with av.open(str(file), "w", format=clip.container, options=clip.container_options) as container:
        stream: Any = container.add_stream(clip.codec, rate=clip.rate)
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pixel_format
        time_base = clip.time_base or 1 / clip.rate
        stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = clip.key_every
        stream.options = _ENCODER.get(clip.codec, {}) | clip.options
        if clip.aspect is not None:
            stream.codec_context.sample_aspect_ratio = clip.aspect
        if clip.turned or clip.mirrored:
            stream.set_display_rotation(clip.turned, hflip=clip.mirrored)
        hum = container.add_stream("aac", rate=48_000, layout="stereo") if clip.sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=clip.pixel_format,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.JPEG if clip.pixel_format.startswith("yuvj") else ColorRange.MPEG,
            )
            frame.pts = clip.times[number] if clip.times is not None else number
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if hum is not None:
            container.mux(_hum(hum, len(pictures) / clip.rate))


def _hum(stream: Any, seconds: float | Fraction) -> list[Any]:
    """The packets of a quiet tone."""
    packets = []
    for number in range(int(seconds * stream.rate) // 1024 + 1):
        wave = np.sin((np.arange(1024) + number * 1024) / 20).astype(np.float32) / 10
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = stream.rate, number * 1024
        packets += stream.encode(frame)
    return packets + stream.encode(None)
