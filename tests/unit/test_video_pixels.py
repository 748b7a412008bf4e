"""Decoded frames become upright RGB of the colours that went in."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import Clip, made, number_of, numbered, of_pictures

from inference.types import Pixels
from inference.video.frames import frames
from inference.video.types import Part

COLORS = [(200, 60, 30), (20, 180, 60), (40, 50, 210), (250, 250, 250), (5, 5, 5), (128, 128, 128)]
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
UNTOLD, TOLD_601, TOLD_709, TOLD_2020 = 2, 6, 1, 9


def _first(file: bytes) -> Pixels:
    return next(frames(io.BytesIO(file), Part(0, None, None), 1)).pixels


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_frames_come_upright(turned: int, mirrored: bool) -> None:
    upright = numbered(21, 160, 96) if turned in (0, 180) else numbered(21, 96, 160)
    # What players do to the stored frame, undone.
    stored = np.rot90(upright[:, ::-1] if mirrored else upright, -turned // 90)
    height, width = stored.shape[:2]
    clip = Clip(turned=turned, mirrored=mirrored, width=width, height=height)
    pixels = _first(of_pictures([np.ascontiguousarray(stored)], clip))
    assert pixels.shape == upright.shape and pixels.flags.c_contiguous
    assert number_of(pixels) == 21
    assert np.abs(pixels.astype(int) - upright).mean() < 4


def test_pixels_that_are_not_square_stay_as_stored() -> None:
    assert _first(made(Clip(aspect=Fraction(16, 11)))).shape == (96, 160, 3)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("told", "size", "coefficients"),
    [
        (TOLD_601, (160, 96), BT601),
        (TOLD_709, (160, 96), BT709),
        (TOLD_2020, (160, 96), BT2020),
        (TOLD_601, (1280, 720), BT601),
        (UNTOLD, (160, 96), BT601),
        (UNTOLD, (1280, 720), BT709),
        (UNTOLD, (720, 1280), BT709),
    ],
)
def test_colors(
    codec: str, pixel_format: str, told: int, size: tuple[int, int], coefficients: tuple[float, float]
) -> None:
    file = _of_colors(codec, pixel_format, told, size, coefficients)
    pixels = _first(file)
    width = size[0] // len(COLORS)
    for n, color in enumerate(COLORS):
        middle = pixels[size[1] // 2, n * width + width // 2].astype(int)
        assert np.abs(middle - color).max() <= 6, f"{middle} is not {color}"


def _of_colors(codec: str, pixel_format: str, told: int, size: tuple[int, int], of: tuple[float, float]) -> bytes:
    """A clip with upright bars of COLORS, its luminance and chroma computed here."""
    full = pixel_format.startswith("yuvj")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.options = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = told, 2 if full else 0
        frame = av.VideoFrame(*size, pixel_format)
        frame.colorspace, frame.color_range = told, 2 if full else 1
        for plane, values in zip(frame.planes, np.transpose([_yuv(color, of, full) for color in COLORS]), strict=True):
            scale, kind = (4, "<u2") if pixel_format.endswith("10le") else (1, np.uint8)
            stride = plane.line_size // np.dtype(kind).itemsize
            row = np.repeat(np.round(values * scale), plane.width // len(COLORS)).astype(kind)
            rows = np.tile(np.pad(row, (0, stride - len(row)), mode="edge"), (plane.height, 1))
            plane.update(rows.tobytes())
        for number in range(5):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _yuv(color: tuple[int, int, int], of: tuple[float, float], full: bool) -> tuple[float, float, float]:
    """Luminance and chroma of 8 bits (ITU-R BT.601, BT.709, BT.2020)."""
    red, green, blue = (value / 255 for value in color)
    of_red, of_blue = of
    light = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = (blue - light) / (2 * (1 - of_blue)), (red - light) / (2 * (1 - of_red))
    if full:
        return light * 255, 128 + 255 * chroma[0], 128 + 255 * chroma[1]
    return 16 + 219 * light, 128 + 224 * chroma[0], 128 + 224 * chroma[1]
