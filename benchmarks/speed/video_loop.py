"""The work of jobs on videos in a plain loop: frames are decoded and shown to the networks, in this process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from api.operations.video_segments import DEFAULT_PIXEL_THRESHOLD
from inference.networks import Networks
from inference.pictures import Picture
from inference.pipelines.faces import find_faces
from inference.pipelines.labels import find_labels
from inference.pipelines.moderation import moderate
from inference.pipelines.persons import find_persons
from inference.pipelines.request import FacesRequest, LabelsRequest, PersonsRequest
from inference.pipelines.text import find_text
from inference.types import Pixels
from inference.video.frames import frames
from inference.video.types import Part
from openrek.settings import Settings
from workers.analyses import segments

See = Callable[[Picture, Networks], Awaitable[object]]
WHOLE_VIDEO = Part(0, None, None)
FACES, LABELS = FacesRequest(attributes=("default",), min_side=1), LabelsRequest(min_confidence=50.0, min_side=1)
PERSONS = PersonsRequest(min_side=1)


@dataclass(frozen=True)
class Look:
    """The setting that says how many frames of a second are looked at, and what the networks do with one. With `every`
    all frames are decoded and measured, and only some of those that are due are looked at."""

    rate: str
    see: See
    every: bool = False


async def _find_people(picture: Picture, loaded: Networks) -> object:
    return await find_persons(picture, PERSONS, loaded.persons)


async def _read(picture: Picture, loaded: Networks) -> object:
    return await find_text(picture, loaded.text)


_PEOPLE = Look("video_frames_per_second", _find_people)
LOOKS: Mapping[str, Look] = {
    "labels": Look("video_frames_per_second", lambda seen, loaded: find_labels(seen, LABELS, loaded.labels)),
    "faces": Look("video_frames_per_second", lambda seen, loaded: find_faces(seen, FACES, loaded.faces)),
    "moderation": Look("video_moderation_frames_per_second", lambda seen, loaded: moderate(seen, loaded.moderation)),
    "text": Look("video_text_frames_per_second", _read),
    "persons": _PEOPLE,
    "face_search": _PEOPLE,
    "celebrities": _PEOPLE,
    "segments": Look("video_text_frames_per_second", _read, every=True),
}
"""By kind of job."""


def run(look: Look, clips: Iterable[Path], settings: Settings, loaded: Networks, at_once: int) -> tuple[int, float]:
    """Frames taken from the videos, and the seconds that they took, `at_once` shown at a time."""
    begin = time.perf_counter()
    taken = asyncio.run(_loop(_pictures(look, clips, settings), look.see, loaded, at_once))
    return taken, time.perf_counter() - begin


async def _loop(pictures: Iterator[Pixels | None], see: See, loaded: Networks, at_once: int) -> int:
    taken, waiting = 0, list[Pixels]()
    for pixels in pictures:
        taken += 1
        if pixels is not None:
            waiting.append(pixels)
        if len(waiting) == at_once:
            await asyncio.gather(*(see(Picture(one), loaded) for one in waiting))
            waiting.clear()
    await asyncio.gather(*(see(Picture(one), loaded) for one in waiting))
    return taken


def _pictures(look: Look, clips: Iterable[Path], settings: Settings) -> Iterator[Pixels | None]:
    """The frames that are taken, None for those that are not shown to networks."""
    rate = getattr(settings, look.rate)
    for clip in clips:
        with clip.open("rb") as file:
            yield from _measured(file, rate) if look.every else _sampled(file, rate)


def _sampled(file: BinaryIO, rate: float) -> Iterator[Pixels]:
    for frame in frames(file, WHOLE_VIDEO, rate):
        yield frame.pixels


def _measured(file: BinaryIO, rate: float) -> Iterator[Pixels | None]:
    for _, pixels in segments.measured_frames(file, WHOLE_VIDEO, DEFAULT_PIXEL_THRESHOLD, Fraction(rate)):
        yield pixels
