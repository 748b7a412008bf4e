"""Decoded frames to upright RGB.

Colours follow the frame's own matrix and range. Where it tells none, the range is the limited one and the matrix
BT.709 for HD and larger frames, BT.601 below, as players take it. Pixels that are not square are left as stored: boxes
are ratios of the frame. The display matrix of the container (phones write one) is applied where it turns or mirrors by
right angles, as those of cameras do; any other is left out. Frames larger than 4K come at half their size.
"""

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from inference.types import Pixels
from inference.video import limits

UNSPECIFIED_MATRIX, BT709_MATRIX = 2, 1
"""Of ISO/IEC 23091-2, as AVCOL_SPC_UNSPECIFIED and AVCOL_SPC_BT709."""
FULL_RANGE = 2
HD_PIXELS = 1280 * 720


@dataclass(frozen=True)
class Turn:
    """How a stored frame becomes upright: transposed first, then mirrored left to right, then top to bottom."""

    transposed: bool = False
    across: bool = False
    upside_down: bool = False


class Converter:
    """Turns frames of one video into pixels; it keeps what the conversion needs from frame to frame."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def pixels(self, frame: VideoFrame) -> Pixels:
        """uint8 [H, W, 3] RGB, upright, contiguous."""
        if frame.colorspace == UNSPECIFIED_MATRIX and frame.width * frame.height >= HD_PIXELS:
            frame.colorspace = BT709_MATRIX
        # To half the size, the mean of four pixels.
        half = 2 if frame.width * frame.height > limits.SHOWN_PIXELS else 1
        stored: Any = self._reformatter.reformat(
            frame,
            width=frame.width // half,
            height=frame.height // half,
            format="rgb24",
            interpolation=Interpolation.AREA if half > 1 else None,
            threads=1,
        ).to_ndarray()
        turn = turn_of(frame)
        if turn.transposed:
            stored = cv2.transpose(stored)
        if turn.across or turn.upside_down:
            stored = cv2.flip(stored, {(True, False): 1, (False, True): 0}.get((turn.across, turn.upside_down), -1))
        return np.ascontiguousarray(stored)


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height, pixels."""
    return (frame.height, frame.width) if turn_of(frame).transposed else (frame.width, frame.height)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether luminance is 0..255, not 16..235."""
    return frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj")


def turn_of(frame: VideoFrame) -> Turn:
    """From the display matrix: rows of it say where the stored x and y axes point to (ISO/IEC 14496-12, 8.2.2)."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Turn()
    across, down, _, across_of_y, down_of_y, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    if down == across_of_y == 0 and across and down_of_y:
        return Turn(False, across < 0, down_of_y < 0)
    if across == down_of_y == 0 and down and across_of_y:
        return Turn(True, across_of_y < 0, down < 0)
    return Turn()
