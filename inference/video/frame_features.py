"""What segments are found by: a few numbers of every frame, and how it differs from the next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from inference.video import bars
from inference.video.frames import Shown
from inference.video.pixels import is_full_range

Plane = NDArray[np.uint8]
"""uint8 [H, W]: luma, or a colour difference."""

LUMA, CHROMA = (9, 16), (3, 4)
"""Rows and columns of the thumbnails."""
OUTLINE, SEARCH = (180, 320), (36, 64)
BLOCK, REACH = (6, 8), 4
"""What is sought in the next frame, and how far away, in pixels of a frame of SEARCH."""
EDGE, FLAT = 48, 6
"""A difference of neighbouring pixels that makes an edge, and one that does not show."""
DARK = 16
"""The brightest part of the thumbnail of a frame that shows nothing. Fine print shows from 25 on; a faint mark of the
owner may stay on black frames."""
SILENT = -128

FEATURES = np.dtype(
    [
        ("at_ms", "<u4"),
        ("black", "<f4"),  # percentage of pixels under the black limit
        ("luma", "u1", LUMA),
        ("chroma", "u1", (2, *CHROMA)),
        (
            "unmatched",
            "u1",
        ),  # quarters of luma by which blocks differ from the next frame, however they moved; 0 at the end
        ("edges", "<u2"),  # pixels on edges, of 10,000
        ("flat", "u1"),  # percentage of pixels that differ little from their neighbours
        ("bars", "u1"),  # how well the frame fits colour bars, 0..100
        ("sound", "i1"),  # dBFS of what is heard with a black frame; SILENT for nothing and for other frames
    ]
)
"""One record a frame, 182 bytes. Luma is 0..255 whatever the range of the video."""

Features = NDArray[np.void]
"""[N] of FEATURES."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A frame with its features, [1]; it is shown until `until_ms`, None for the last of a video."""

    features: Features
    shown: Shown
    until_ms: int | None = None


def measured(frames: Iterable[Shown], black_threshold: float) -> Iterator[Measured]:
    """The frames of one part, without the one of the next, as `frames.decoded` gives them. `sound` is left SILENT.

    black_threshold: 0..1 of the range from black to white, under which a pixel is black.
    """
    last: tuple[Measured, Plane] | None = None
    for shown in frames:
        features, small = measure(shown.picture, shown.at_ms, black_threshold)
        if last is not None:
            last[0].features["unmatched"] = unmatched(last[1], small)
            yield replace(last[0], until_ms=shown.at_ms)
        last = None if shown.is_next_part else (Measured(features, shown), small)
    if last is not None:
        yield last[0]


def measure(frame: VideoFrame, at_ms: int, black_threshold: float) -> tuple[Features, Plane]:
    """The features of one frame, [1] (`unmatched` and `sound` are left 0 and SILENT), and its luma of SEARCH.

    black_threshold: 0..1 of the range from black to white, under which a pixel is black.
    """
    full_range = is_full_range(frame)
    luma, blue, red = planes(frame)
    outline = _full(_reduced(luma, OUTLINE), full_range)
    small = _reduced(outline, SEARCH)
    across, down = cv2.absdiff(outline[:, 1:], outline[:, :-1]), cv2.absdiff(outline[1:], outline[:-1])
    record = np.zeros(1, FEATURES)
    record["at_ms"] = at_ms
    record["black"] = np.count_nonzero(luma < black_limit(black_threshold, full_range)) * 100 / luma.size
    record["luma"] = _reduced(small, LUMA)
    record["chroma"] = [_reduced(plane, CHROMA) for plane in (blue, red)]
    record["edges"] = np.count_nonzero(across > EDGE) * 10_000 // across.size
    record["flat"] = np.count_nonzero((across[:-1] <= FLAT) & (down[:, :-1] <= FLAT)) * 100 // across.size
    record["bars"] = round(bars.fit(luma, (blue, red)))
    record["sound"] = SILENT
    return record, small


def thumbnails(features: Features) -> NDArray[np.float32]:
    """What a frame looks like: luma and, counted twice, colour; float32 [N, 168], 0..255 and 0..510."""
    luma, chroma = (features[name].reshape(len(features), -1) for name in ("luma", "chroma"))
    return np.concatenate([luma.astype(np.float32), 2 * chroma.astype(np.float32)], 1)


def dark(features: Features) -> NDArray[np.bool_]:
    """Which frames show nothing, whatever the asked black threshold: no text either."""
    return np.asarray(features["luma"].max((1, 2)) <= DARK)


def unmatched(before: Plane, after: Plane) -> int:
    """How much of a frame is not found near its place in the next: the mean difference of its blocks to the most
    similar ones within REACH, in quarters, 0..255. Both are luma of SEARCH."""
    around = cv2.copyMakeBorder(after, REACH, REACH, REACH, REACH, cv2.BORDER_REPLICATE)
    shifts = range(2 * REACH + 1)
    rows, columns = SEARCH[0] // BLOCK[0], SEARCH[1] // BLOCK[1]
    differences = [
        cv2.resize(
            cv2.absdiff(before, around[y : y + SEARCH[0], x : x + SEARCH[1]]),
            (columns, rows),
            interpolation=cv2.INTER_AREA,
        )
        for y in shifts
        for x in shifts
    ]
    return min(255, round(4 * float(np.min(differences, 0).mean())))


def black_limit(threshold: float, full_range: bool) -> float:
    """The luma under which a pixel is black."""
    low, high = (0, 255) if full_range else (16, 235)
    return low + threshold * (high - low)


def planes(frame: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Luma, Cb and Cr, of 8 bits, in the video's own range; the colour differences have half the size."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    y, cb, cr = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    return y, cb, cr


def _reduced(plane: Plane, shape: tuple[int, int]) -> Plane:
    return np.asarray(cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _full(luma: Plane, full_range: bool) -> Plane:
    if full_range:
        return luma
    return np.asarray(cv2.LUT(luma, _STRETCHED), np.uint8)


_STRETCHED = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
