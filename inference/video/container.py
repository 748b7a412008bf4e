"""Opens videos: what they are, and where they can be split."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, pairwise
from typing import BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.errors import InvalidVideo
from inference.video import limits
from inference.video.packets import VideoPacket
from inference.video.pixels import is_full_range, upright_size
from inference.video.types import AudioInfo, Part, VideoInfo

SOUND_CODECS = ("aac", "mp3", "ac3")
"""Those that opening may look into where a file's headers do not tell what the sound is; it is never decoded."""
USUAL_RATE = Fraction(25)
"""Frames a second of a video that does not tell: what DV and many cameras have."""


@contextmanager
def opened(file: BinaryIO) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of a seekable file and its video stream, which is of a codec and size that is accepted.

    Raises InvalidVideo, also for what goes wrong inside the block; errors of the file itself pass through.
    """
    allowed = {"format_whitelist": limits.FORMATS, "codec_whitelist": ",".join((*limits.CODECS, *SOUND_CODECS))}
    file.seek(0)
    try:
        with av.open(
            file,
            "r",
            container_options=allowed,
            options={"max_pixels": str(limits.MOST_PIXELS)},
            metadata_errors="replace",
            io_open=_refuse_other_files,
        ) as container:
            yield container, _video_stream(container)
    except av.FFmpegError as error:
        raise InvalidVideo("The file is not an MP4, MOV or AVI video, or it is damaged or incomplete.") from error


def probe(file: BinaryIO) -> VideoInfo:
    """What a video is, from its headers and its first frame.

    Raises InvalidVideo: not an MP4, MOV or AVI file, no video, of another codec, beyond the limits, truncated, or with
    a first frame that cannot be decoded.
    """
    size = file.seek(0, os.SEEK_END)
    with opened(file) as (container, stream):
        _refuse_truncated(stream, size)
        first = _first_frame(container, stream)
        width, height = upright_size(first)
        rate = _rate(stream)
        duration_ms = _milliseconds(stream.duration, stream.time_base) or (container.duration or 0) // 1000
        if duration_ms > limits.MOST_SECONDS * 1000:
            raise InvalidVideo(f"The video is longer than the maximum of {limits.MOST_SECONDS // 3600} hours.")
        return VideoInfo(
            codec=stream.codec_context.name,
            container=container.format.name,
            duration_ms=duration_ms,
            rate_numerator=rate.numerator,
            rate_denominator=rate.denominator,
            width=width,
            height=height,
            full_range=is_full_range(first),
            audio=tuple(
                AudioInfo(
                    codec=sound.codec_context.name,
                    duration_ms=_milliseconds(sound.duration, sound.time_base),
                    sample_rate=sound.codec_context.sample_rate,
                    channels=sound.codec_context.channels,
                )
                for sound in container.streams.audio
                if sound.codec_context is not None
            ),
        )


def split(file: BinaryIO, seconds: float) -> tuple[Part, ...]:
    """The video in parts of at least so many seconds, split at key frames.

    Reads the container's index and one frame for each part. Raises InvalidVideo.
    """
    with opened(file) as (container, stream):
        starts = list(_starts(container, stream, seconds)) if has_display_times(container) else []
    bounds = [None, *starts, None]
    return tuple(Part(n, start, end) for n, (start, end) in enumerate(pairwise(bounds)))


def has_display_times(container: InputContainer) -> bool:
    """Whether packets tell when they are shown. Those of AVI follow each other in the order of decoding, so its frames
    get their times only once all of them are decoded."""
    return container.format.name != "avi"


def _starts(container: InputContainer, stream: VideoStream, seconds: float) -> Iterator[int]:
    """The times of the key frames at which the second and later parts start, in ticks."""
    least = Fraction(seconds) / ticks(stream)
    keys = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    first = next(container.demux(stream)).pts
    if first is None or not keys:
        return
    # The index has times of decoding. When a frame is shown is told by its packet, and seeking goes by about that.
    delay = max(0, first - keys[0])
    latest = first
    for key in keys[1:]:
        if key + delay - latest < least:
            continue
        container.seek(key + delay, stream=stream)
        packet = next(container.demux(stream))
        if packet.is_keyframe and packet.pts is not None and packet.pts - latest >= least:
            latest = packet.pts
            yield latest


def demuxed(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """The stream's packets but the empty ones: those that AVI has for a frame shown on, and the one at the end."""
    return (packet for packet in container.demux(stream) if packet.size)


def decode(
    stream: VideoStream, packets: Iterable["VideoPacket | None"]
) -> Iterator[tuple["VideoPacket | None", list[VideoFrame]]]:
    """Each packet that can be decoded, and the frames that then come out of the decoder. With None, which ends the
    packets too, it gives the rest of its frames, and starts afresh."""
    decoder = stream.codec_context
    for packet in chain(packets, [None]):
        with suppress(av.InvalidDataError):
            yield packet, decoder.decode(packet)
        if packet is None:
            decoder.flush_buffers()


def ticks(stream: VideoStream) -> Fraction:
    """The seconds that one tick of the stream's clock takes. Raises InvalidVideo."""
    if not stream.time_base:
        raise InvalidVideo("The video has no clock.")
    return stream.time_base


def _video_stream(container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & stream.disposition.attached_pic]
    if not streams:
        raise InvalidVideo("The file has no video stream.")
    stream = streams[0]
    # Without a decoder there is no context.
    codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
    if codec not in limits.CODECS:
        raise InvalidVideo(f"The video's codec is {codec}; H.264 and H.265 are supported.")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > limits.MOST_SIDE or width * height > limits.MOST_PIXELS:
        raise InvalidVideo(f"The video's frames of {width} x {height} pixels are too large.")
    # A stream may grow on its way.
    stream.codec_context.options = {"max_pixels": str(limits.MOST_PIXELS)}
    return stream


def _refuse_truncated(stream: VideoStream, size: int) -> None:
    entries = stream.index_entries
    if len(entries):
        last = entries[len(entries) - 1]
        if last.pos + last.size > size:
            raise InvalidVideo("The video is truncated: the file ends before its last frame.")


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    for _, pictures in decode(stream, demuxed(container, stream)):
        for picture in pictures:
            return picture
    raise InvalidVideo("The video has no frames that can be decoded.")


def _rate(stream: VideoStream) -> Fraction:
    """The rate that the frames' times follow, or their average where they follow none.

    The last frame's duration, which is often wrong, counts in the average.
    """
    average, base = stream.average_rate or stream.guessed_rate or USUAL_RATE, stream.base_rate
    return base if base and abs(average / base - 1) < Fraction(1, 100) else average


def _refuse_other_files(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise InvalidVideo("The video refers to other files.")


def _milliseconds(duration: int | None, time_base: Fraction | None) -> int:
    return 0 if duration is None or time_base is None else max(0, int(duration * time_base * 1000))
