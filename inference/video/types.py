"""What is known of videos, and what jobs find in them: plain data, free of AWS names.

Times are whole milliseconds from the video's first frame, rounded down. Boxes are ratios of the upright frame.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar
from uuid import UUID

from inference.types import Box, Confident, Face, Pixels

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class AudioInfo:
    codec: str
    duration_ms: int
    sample_rate: int
    channels: int


@dataclass(frozen=True)
class VideoInfo:
    """`codec` and `container` are FFmpeg's names (h264; mov,mp4,...); the frame rate is a fraction of frames a second;
    `width` and `height` are of the upright frame, pixels; `full_range` tells that luminance is 0..255, not 16..235."""

    codec: str
    container: str
    duration_ms: int
    rate_numerator: int
    rate_denominator: int
    width: int
    height: int
    full_range: bool
    audio: tuple[AudioInfo, ...] = ()

    @property
    def rate(self) -> Fraction:
        return Fraction(self.rate_numerator, self.rate_denominator)


@dataclass(frozen=True)
class Part:
    """The frames shown from `start` up to but without `end`, both times of key frames in the stream's own ticks; None
    is the video's beginning or end. The parts of a video are numbered from 0 and leave nothing out."""

    number: int
    start: int | None
    end: int | None


@dataclass(frozen=True, eq=False)
class Frame:
    """`pixels`: uint8 [H, W, 3] RGB, upright."""

    at_ms: int
    pixels: Pixels


@dataclass(frozen=True)
class FaceMatch:
    """A stored face that a person in a video looks like: `similarity` 0..100. All else is the face as it was stored
    when it was found, so that it can still be shown when it is deleted."""

    similarity: float
    face_id: UUID
    image_id: UUID
    external_image_id: str | None
    box: Box
    confidence: float
    user_id: str | None
    face_model_version: str


@dataclass(frozen=True)
class SeenPerson:
    """One person at one time: `index` from 0, the same for the whole job; its box, its face where that shows, without
    an embedding, and in a search the stored faces it looks like, the most similar first. When only the face is visible
    `box` is the face's; `confidence` 0..100 is the box's."""

    index: int
    box: Box
    confidence: float
    face: Face | None
    matches: tuple[FaceMatch, ...] = ()


@dataclass(frozen=True)
class SeenCelebrity:
    """A celebrity at one time, as the gallery had it when it was recognised: `confidence` 0..100, `box` the body's."""

    id: str
    name: str
    urls: tuple[str, ...]
    gender: str
    confidence: float
    box: Box
    face: Face


@dataclass(frozen=True)
class Cue:
    """A stretch of a programme, `kind` one of color_bars, black_frames, opening_credits, end_credits, slate,
    studio_logo, content; `start_frame` and `end_frame` are its first and last frame, counted from 0."""

    kind: str
    confidence: float
    start_frame: int
    end_frame: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Shot:
    """Frames between two cuts, the last one included; soft transitions belong to no shot."""

    index: int
    confidence: float
    start_frame: int
    end_frame: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Moderated:
    """A moderation label, 0..100, and what kinds of content the frame is that shows it."""

    name: str
    confidence: float
    content_types: tuple[Confident, ...]


@dataclass(frozen=True)
class Stretch(Generic[Thing]):
    """Something that each look saw from `start_ms`, the time of the first, to `end_ms`, that of the last; as it was
    when it was seen `surest`."""

    surest: Thing
    start_ms: int
    end_ms: int
