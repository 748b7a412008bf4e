"""Which packets of a video the decoder must see, so that it gives the wanted frames and little else.

Packets come in the order of decoding, and each tells when its frame is shown. From a key frame on everything can be
decoded, but for its leading frames: those that come after it and are shown before it, which need the group of pictures
before (an open group).
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from av.packet import Packet
from av.video.stream import VideoStream

VideoPacket: TypeAlias = "Packet[VideoStream]"
MOST_REORDERED = 64
"""Packets looked ahead for the frame shown next. The standards reorder 16 frames at most."""
MOST_HELD_BYTES = 64 << 20
"""Of packets kept back because nothing wanted has been seen to need them."""


def marked(
    packets: Iterable[VideoPacket], end: int, wanted: Callable[[int, int], bool]
) -> Iterator[tuple[VideoPacket, bool]]:
    """Each packet, in the given order, and whether its frame is wanted.

    `wanted` is asked with the times from which and up to which a frame is shown, in ticks; the last frame is shown up
    to `end`, or for one tick if it starts later.
    """
    waiting: deque[VideoPacket] = deque()
    times: list[int] = []  # when the frames are shown that came so far, but for those long past
    for packet in packets:
        waiting.append(packet)
        if packet.pts is not None and not packet.is_discard:
            insort(times, packet.pts)
        # No later packet's frame is shown before this packet is decoded.
        settled = packet.dts if packet.dts is not None else packet.pts
        while waiting:
            until = _next(times, waiting[0].pts)
            if len(waiting) <= MOST_REORDERED and (until is None or settled is None or until > settled):
                break
            first = waiting.popleft()
            yield first, _is_wanted(first, until, end, wanted)
        if len(times) > 4 * MOST_REORDERED:
            del times[: -2 * MOST_REORDERED]
    for packet in waiting:
        yield packet, _is_wanted(packet, _next(times, packet.pts), end, wanted)


def needed(packets: Iterable[tuple[VideoPacket, bool]]) -> Iterator[tuple["VideoPacket | None", bool]]:
    """Of marked packets those that the decoder must see: of each group of pictures none after its last wanted frame.

    None stands where packets are left out, for the decoder to start afresh at a key frame. The first packet is one.
    """
    held: list[tuple[VideoPacket, bool]] = []
    held_bytes = 0
    for group in _with_leading(packets):
        key, leading = group[0], group[1:]
        if key[0].is_keyframe and not any(is_wanted for _, is_wanted in leading):
            # Nothing from here on needs what was held back, nor the leading frames.
            if held or leading:
                yield None, False
            held, held_bytes, group = [], 0, [key]
        held += group
        held_bytes += sum(packet.size for packet, _ in group)
        if any(is_wanted for _, is_wanted in group) or held_bytes > MOST_HELD_BYTES:
            yield from held
            held, held_bytes = [], 0


def _with_leading(packets: Iterable[tuple[VideoPacket, bool]]) -> Iterator[list[tuple[VideoPacket, bool]]]:
    """Each key frame together with its leading frames; every other packet by itself."""
    group: list[tuple[VideoPacket, bool]] = []
    for packet, is_wanted in packets:
        if group and _leads(packet, group[0][0]) and len(group) <= MOST_REORDERED:
            group.append((packet, is_wanted))
            continue
        if group:
            yield group
        group = [(packet, is_wanted)]
    if group:
        yield group


def _leads(packet: VideoPacket, key: VideoPacket) -> bool:
    if not key.is_keyframe or packet.is_keyframe or packet.pts is None or key.pts is None:
        return False
    return packet.pts < key.pts


def _next(times: list[int], time: int | None) -> int | None:
    if time is None:
        return None
    place = bisect_right(times, time)
    return times[place] if place < len(times) else None


def _is_wanted(packet: VideoPacket, until: int | None, end: int, wanted: Callable[[int, int], bool]) -> bool:
    if packet.pts is None or packet.is_discard:
        return False
    return wanted(packet.pts, until if until is not None else max(end, packet.pts + 1))
