"""Decodes the frames of one part of a video.

A frame is shown from its own time until the next one's. What a part yields does not depend on the other parts: the
parts of a video together yield what the whole would.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice, takewhile
from math import ceil
from typing import BinaryIO

from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from inference.errors import InvalidVideo
from inference.video import limits
from inference.video.container import decode, demuxed, has_display_times, opened, ticks
from inference.video.packets import MOST_REORDERED, VideoPacket, marked, needed
from inference.video.pixels import Converter
from inference.video.types import Frame, Part


@dataclass(frozen=True, eq=False)
class Shown:
    """A decoded frame as it is stored: not turned, colours as coded. `is_next_part` marks the first frame of the next
    part, which that part yields too."""

    at_ms: int
    picture: VideoFrame
    is_next_part: bool


@dataclass(frozen=True)
class _Clock:
    """The times of the first frame and of the video's end in ticks, and the length of a tick in seconds."""

    first: int
    end: int
    tick: Fraction

    def at_ms(self, time: int) -> int:
        """Raises InvalidVideo."""
        seconds = (time - self.first) * self.tick
        if seconds > limits.MOST_SECONDS:
            raise InvalidVideo(f"The video is longer than the maximum of {limits.MOST_SECONDS // 3600} hours.")
        return int(seconds * 1000)

    def is_due(self, time: int, until: int, rate: Fraction) -> bool:
        """Whether a whole multiple of 1 / `rate` seconds lies in [time, until)."""
        per_tick = rate * self.tick
        return ceil((time - self.first) * per_tick) < (until - self.first) * per_tick


def frames(file: BinaryIO, part: Part, per_second: float, threads: int = 1) -> Iterator[Frame]:
    """The frames of a part that are shown at the whole multiples of 1 / `per_second` seconds of the video.

    What the decoder need not see for these is not decoded. `threads` are the decoder's; 0 are as many as the machine
    has cores. Packets that cannot be decoded are left out. Raises InvalidVideo.
    """
    rate, converter = Fraction(per_second), Converter()
    with opened(file) as (container, stream):
        _prepare(container, stream, threads)
        clock, packets = _packets(container, stream, part)
        if has_display_times(container):
            chosen = _chosen(stream, packets, part, clock, rate)
        else:
            chosen = _sampled(_in_order(stream, packets), clock, rate)
        for time, picture in chosen:
            yield Frame(clock.at_ms(time), converter.pixels(picture))


def decoded(file: BinaryIO, part: Part, threads: int = 1) -> Iterator[Shown]:
    """Every frame of a part in the order of display, and then the first frame of the next part, if there is one.

    Raises InvalidVideo.
    """
    with opened(file) as (container, stream):
        _prepare(container, stream, threads)
        clock, packets = _packets(container, stream, part)
        start = clock.first if part.start is None else part.start
        for time, picture in _timed(stream, packets) if has_display_times(container) else _in_order(stream, packets):
            if time >= start:
                is_next_part = part.end is not None and time >= part.end
                yield Shown(clock.at_ms(time), picture, is_next_part)
                if is_next_part:
                    return


def _prepare(container: InputContainer, stream: VideoStream, threads: int) -> None:
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = ThreadType.AUTO
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def _packets(container: InputContainer, stream: VideoStream, part: Part) -> tuple[_Clock, Iterator[VideoPacket]]:
    """The video's clock, and its packets from the key frame on that a part starts with, or one before."""
    packets = demuxed(container, stream)
    peeked: list[VideoPacket] = []
    first: int | None = None
    for packet in islice(packets, MOST_REORDERED):
        peeked.append(packet)
        time = packet.pts if has_display_times(container) else packet.dts
        if time is not None and not packet.is_discard and (first is None or time < first):
            first = time
        if first is not None and packet.dts is not None and packet.dts >= first:
            break
    if first is None:
        raise InvalidVideo("The video has no frames.")
    clock = _Clock(first, first + (stream.duration or 0), ticks(stream))
    return clock, chain(peeked, packets) if part.start is None else _from(container, stream, part.start)


def _from(container: InputContainer, stream: VideoStream, start: int) -> Iterator[VideoPacket]:
    # Containers look for times of decoding: those of a key frame near the next may both be before `start`.
    target = start
    while True:
        container.seek(target, stream=stream)
        packets = demuxed(container, stream)
        key = next(packets, None)
        if key is None:
            return iter(())
        if key.pts is None or key.dts is None or key.pts <= start or key.dts > target:
            return chain([key], packets)
        target = key.dts - 1


def _chosen(
    stream: VideoStream, packets: Iterable[VideoPacket], part: Part, clock: _Clock, rate: Fraction
) -> Iterator[tuple[int, VideoFrame]]:
    """The frames due and when they are shown, each packet sent to the decoder only if one of them needs it."""
    start = clock.first if part.start is None else part.start
    due: set[int] = set()

    def is_wanted(time: int, until: int) -> bool:
        if time < start or (part.end is not None and time >= part.end):
            return False
        if not clock.is_due(time, until if part.end is None else min(until, part.end), rate):
            return False
        due.add(time)
        return True

    within = takewhile(lambda packet: not _is_past(packet, part.end), packets)
    to_decode = needed(marked(within, clock.end if part.end is None else part.end, is_wanted))
    for time, picture in _timed(stream, _with_skipping(stream, to_decode)):
        if time in due:
            due.remove(time)
            yield time, picture


def _is_past(packet: VideoPacket, end: int | None) -> bool:
    """Whether neither the packet's frame nor a later packet's is shown before `end`."""
    return end is not None and packet.dts is not None and packet.dts >= end


def _with_skipping(
    stream: VideoStream, packets: Iterable[tuple["VideoPacket | None", bool]]
) -> Iterator["VideoPacket | None"]:
    """Lets the decoder pass over frames that are neither wanted nor referred to."""
    can_skip = _tells_what_is_referred_to(stream)
    for packet, is_wanted in packets:
        stream.codec_context.skip_frame = "NONREF" if can_skip and not is_wanted else "DEFAULT"
        yield packet


def _tells_what_is_referred_to(stream: VideoStream) -> bool:
    """Whether frames that the stream marks as not referred to are so. In H.265 others of the same temporal layer do not
    refer to them; those of higher layers may (ISO/IEC 23008-2, 3: sub-layer non-reference picture)."""
    head = stream.codec_context.extradata or b""
    if stream.codec_context.name == "h264":
        return True
    # The configuration record of ISO/IEC 14496-15, 8.3.3: numTemporalLayers.
    return len(head) > 21 and head[0] == 1 and head[21] >> 3 & 7 == 1


def _sampled(
    pictures: Iterable[tuple[int, VideoFrame]], clock: _Clock, rate: Fraction
) -> Iterator[tuple[int, VideoFrame]]:
    """Of all frames those that are due."""
    shown: tuple[int, VideoFrame] | None = None
    for time, picture in pictures:
        if shown is not None and clock.is_due(shown[0], time, rate):
            yield shown
        shown = time, picture
    if shown is not None and clock.is_due(shown[0], max(clock.end, shown[0] + 1), rate):
        yield shown


def _timed(stream: VideoStream, packets: Iterable["VideoPacket | None"]) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames and when they are shown."""
    for _, pictures in decode(stream, packets):
        for picture in pictures:
            if picture.pts is not None:
                yield picture.pts, picture


def _in_order(stream: VideoStream, packets: Iterable[VideoPacket]) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames and when they are shown, where packets have times of decoding only: the first frame shown takes
    the first time, and so on."""
    times: deque[int] = deque()
    for packet, pictures in decode(stream, packets):
        if packet is not None and packet.dts is not None:
            times.append(packet.dts)
        for picture in pictures:
            if times:
                yield times.popleft(), picture
