"""How loud a video is while given frames are shown."""

from collections.abc import Iterator
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from inference.video.container import opened
from inference.video.frame_features import SILENT

WARM_UP_SECONDS = 0.25
"""A decoder's first frames after a jump are incomplete."""


def levels(file: BinaryIO, starts: NDArray[np.float64], end: float) -> NDArray[np.int8]:
    """The root mean square of the first sound track during each frame, int8 [N], whole dBFS (a full square wave is 0),
    SILENT where nothing is heard or there is no sound that can be decoded.

    starts: float64 [N], when each frame is first shown, seconds of the container's clock, rising; end: of the last.
    """
    bounds = np.append(starts, end)
    powers, counts = np.zeros(len(starts)), np.zeros(len(starts))
    for times, power in _samples(file, bounds[0], end):
        frame = np.searchsorted(bounds, times, "right") - 1
        inside = (frame >= 0) & (frame < len(starts))
        np.add.at(powers, frame[inside], power[inside])
        np.add.at(counts, frame[inside], 1)
    mean = powers / np.maximum(counts, 1)
    decibels = 10 * np.log10(np.maximum(mean, 10 ** (SILENT / 10)))
    return np.asarray(np.clip(np.round(decibels), SILENT, 0), np.int8)


def _samples(file: BinaryIO, start: float, end: float) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Times and powers (0..1, of the loudest channel) of the samples around a stretch."""
    with opened(file) as (container, _):
        tracks = [track for track in container.streams.audio if track.codec_context is not None and track.time_base]
        if not tracks:
            return
        track = tracks[0]
        container.seek(int(max(0.0, start - WARM_UP_SECONDS) / (track.time_base or 1)), stream=track)
        for packet in container.demux(track):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                first = float(frame.pts * frame.time_base)
                if first >= end:
                    return
                power = _power(frame)
                yield first + np.arange(len(power)) / frame.sample_rate, power


def _power(frame: av.AudioFrame) -> NDArray[np.float64]:
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    full = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
    return np.asarray((samples.astype(np.float64) / full) ** 2).max(0)  # type: ignore[no-any-return]
