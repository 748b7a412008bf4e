"""Opens videos: what they are, and where they can be split."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from inference.errors import InvalidVideo
from inference.video.types import AudioInfo, Part, VideoInfo

CODECS = ("h264", "hevc")
LIMITED_RANGE, FULL_RANGE = 1, 2


@contextmanager
def opened(file: BinaryIO) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of a seekable file and its video stream. Raises InvalidVideo."""
    try:
        with av.open(file, "r") as container:
            if not container.streams.video:
                raise InvalidVideo("The file has no video stream.")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise InvalidVideo(f"The video cannot be read: {error.strerror}.") from error


def probe(file: BinaryIO) -> VideoInfo:
    """What a video is, from its headers. Raises InvalidVideo."""
    with opened(file) as (container, stream):
        context = stream.codec_context
        if context.name not in CODECS:
            raise InvalidVideo(f"The codec {context.name} is not supported.")
        rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        return VideoInfo(
            codec=context.name,
            container=container.format.name,
            duration_ms=_milliseconds(stream.duration, stream.time_base) or (container.duration or 0) // 1000,
            rate_numerator=rate.numerator,
            rate_denominator=rate.denominator,
            width=context.width,
            height=context.height,
            full_range=context.color_range == FULL_RANGE,
            audio=tuple(
                AudioInfo(
                    codec=sound.codec_context.name,
                    duration_ms=_milliseconds(sound.duration, sound.time_base),
                    sample_rate=sound.codec_context.sample_rate,
                    channels=sound.codec_context.channels,
                )
                for sound in container.streams.audio
            ),
        )


def split(file: BinaryIO, seconds: float) -> tuple[Part, ...]:
    """The video in parts of at least so many seconds. Raises InvalidVideo."""
    with opened(file) as (container, stream):
        starts: list[int] = []
        least = seconds / stream.time_base
        for packet in container.demux(stream):
            if packet.is_keyframe and packet.pts is not None and (not starts or packet.pts - starts[-1] >= least):
                starts.append(packet.pts)
    bounds = [None, *starts[1:], None]
    return tuple(Part(n, start, end) for n, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)))


def _milliseconds(duration: int | None, time_base: Fraction | None) -> int:
    return 0 if duration is None or time_base is None else int(duration * time_base * 1000)
