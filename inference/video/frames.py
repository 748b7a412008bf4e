"""Decodes the frames of one part of a video."""

from collections.abc import Iterator
from typing import BinaryIO

from inference.video.container import opened
from inference.video.types import Frame, Part


def frames(file: BinaryIO, part: Part, per_second: float) -> Iterator[Frame]:
    """The frames of a part that are shown at the whole multiples of 1 / `per_second` seconds of the video.

    Raises InvalidVideo.
    """
    with opened(file) as (container, stream):
        assert stream.time_base is not None
        origin = stream.start_time or 0
        if part.start is not None:
            container.seek(part.start, stream=stream, backward=True)
        shown = None
        for frame in container.decode(stream):
            if frame.pts is None or (part.start is not None and frame.pts < part.start):
                continue
            at = (frame.pts - origin) * stream.time_base
            if shown is not None and _is_due(shown[0], at, per_second):
                yield Frame(int(shown[0] * 1000), shown[1].to_ndarray(format="rgb24"))
            if part.end is not None and frame.pts >= part.end:
                return
            shown = at, frame
        if shown is not None:
            yield Frame(int(shown[0] * 1000), shown[1].to_ndarray(format="rgb24"))


def _is_due(start: float, end: float, per_second: float) -> bool:
    """Whether a multiple of the step lies in [start, end)."""
    return -(-start * per_second // 1) < end * per_second
