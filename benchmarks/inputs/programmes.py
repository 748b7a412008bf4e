"""Composes programmes whose cuts and cues are known: pictures that move, joined in many ways, and what is no cut."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer

from inference.types import Pixels

SIZE = (640, 360)
"""Width and height of all frames."""
MOTIONS = ("still", "pan", "fast_pan", "zoom", "handheld", "crossing", "flash", "light", "noise")
JOINS = ("hard", "hard", "hard", "dissolve", "fade", "fade_out", "wipe")


@dataclass(frozen=True)
class Change:
    """From one picture to the next: `first` is the first frame that is not the old picture alone, `end` the first that
    is the new one alone; both are equal at a hard cut."""

    kind: str
    first: int
    end: int


@dataclass
class Programme:
    """Frames being put together: RGB, uint8 [360, 640, 3]."""

    frames: list[Pixels] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    cues: list[tuple[str, int, int]] = field(default_factory=list)
    """Kind, first frame, end."""

    def append(self, frames: Sequence[Pixels], join: str = "hard", length: int = 0, cue: str | None = None) -> None:
        """Joins frames to the end. A dissolve or wipe takes `length` frames of both; a fade darkens `length` and
        brightens `length`, with three black frames between."""
        old, new, at = self.frames, list(frames), len(self.frames)
        if not old:
            old.extend(new)
        elif join in ("dissolve", "wipe"):
            mixed = [
                _mix(join, before, after, (n + 1) / (length + 1))
                for n, (before, after) in enumerate(zip(old[-length:], new[:length], strict=True))
            ]
            old[-length:] = mixed
            old.extend(new[length:])
            self.changes.append(Change(join, at - length, at))
        elif join in ("fade", "fade_out"):
            for n in range(length):
                old[at - length + n] = _scaled(old[at - length + n], 1 - (n + 1) / length)
            black = [np.zeros_like(old[0])] * (3 if join == "fade" else 25)
            if join == "fade":
                new[:length] = [_scaled(frame, (n + 1) / (length + 1)) for n, frame in enumerate(new[:length])]
                self.changes.append(Change("fade", at - length, at + len(black) + length))
            else:
                self.changes += [Change("fade", at - length, at), Change("hard", at + len(black), at + len(black))]
            old.extend(black)
            old.extend(new)
        else:
            old.extend(new)
            self.changes.append(Change("hard", at, at))
        if cue:
            self.cues.append((cue, len(old) - len(new), len(old)))


def random_programme(pictures: Sequence[Pixels], shots: int, seed: int) -> Programme:
    """Shots of random motion and length, joined in random ways."""
    random = np.random.default_rng(seed)
    programme = Programme()
    last = -1
    for _ in range(shots):
        chosen = int(random.choice([n for n in range(len(pictures)) if n != last]))
        last = chosen
        motion, join = str(random.choice(MOTIONS)), str(random.choice(JOINS))
        length = int(random.integers(5, 40))
        frames = list(shot(pictures[chosen], int(random.integers(2 * length + 15, 2 * length + 60)), motion, random))
        programme.append(frames, join, length)
    return programme


def shot(picture: Pixels, count: int, motion: str, random: np.random.Generator) -> Iterator[Pixels]:
    """`count` frames of a picture, seen by a camera that moves in one of MOTIONS, or with something before it."""
    width, height = SIZE
    angle, jitter = random.uniform(0, 2 * np.pi), np.zeros(2)
    speed = {"pan": random.uniform(1, 5), "fast_pan": random.uniform(10, 30)}.get(motion, 0.0)
    base = max(width / picture.shape[1], height / picture.shape[0])
    scale = base * (1 + random.uniform(0.1, 0.5))
    moment = int(random.integers(3, max(4, count - 6)))
    block = random.integers(0, 255, 3)
    phase = random.uniform(0, 2 * np.pi)
    for n in range(count):
        zoom = scale * (1 + 0.006 * n) if motion == "zoom" else scale
        jitter = 0.8 * jitter + random.normal(0, 3, 2) if motion == "handheld" else jitter
        reach = np.array([picture.shape[1] * zoom - width, picture.shape[0] * zoom - height]) / 2
        # There and back again, so that the camera never leaves the picture.
        way = reach * np.sin(phase + n * speed / np.maximum(reach, 40)) * [np.cos(angle), np.sin(angle)]
        way = np.clip(way + jitter, -reach, reach)
        center = np.array([picture.shape[1], picture.shape[0]]) * zoom / 2 + way
        matrix = np.array([[zoom, 0, width / 2 - center[0]], [0, zoom, height / 2 - center[1]]], np.float32)
        frame = cv2.warpAffine(picture, matrix, SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        if motion == "crossing":
            left = int((n - moment) * width / 12)
            frame[height // 6 :, max(0, left) : max(0, left + width // 2)] = block
        if motion == "flash" and n in (moment, moment + 1):
            frame = np.clip(frame.astype(np.float32) * 1.5 + (140 if n == moment else 60), 0, 255)
        if motion == "light":
            frame = _scaled(np.asarray(frame, np.uint8), 0.75 + 0.25 * np.sin(n / 6))
        if motion == "noise":
            frame = np.clip(frame + random.normal(0, 14, frame.shape), 0, 255)
        yield np.asarray(frame, np.uint8)


def write(
    path: Path,
    frames: Sequence[Pixels],
    rate: Fraction = Fraction(25),
    quality: int = 26,
    key_frames: int = 250,
    sound: Callable[[float], float] | None = None,
    times: Sequence[int] | None = None,
) -> None:
    """An H.264 MP4 file. quality: the encoder's constant rate factor; key_frames: at most so many frames apart;
    sound: the amplitude (0..1) of a tone by the second it is heard; None for no sound track;
    times: of the frames, in units of 1 / rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = frames[0].shape[1], frames[0].shape[0]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(quality), "preset": "veryfast", "g": str(key_frames)}
        track = container.add_stream("aac", rate=48000) if sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = times[number] if times else number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound and track:
            _add_sound(container, track, sound, len(frames) / rate)


def procedural(seed: int) -> Pixels:
    """A picture of random blocks or clouds of random colours, uint8 [500, 800, 3]."""
    random = np.random.default_rng(seed)
    cells = int(random.integers(2, 40))
    blocks = random.integers(0, 255, (cells, int(cells * 1.6) + 1, 3)).astype(np.uint8)
    smooth = int(random.choice([cv2.INTER_CUBIC, cv2.INTER_NEAREST]))
    picture = cv2.resize(blocks, (800, 500), interpolation=smooth).astype(np.float64)
    return np.clip(picture * random.uniform(0.3, 1) + random.uniform(0, 60), 0, 255).astype(np.uint8)


def _add_sound(
    container: OutputContainer, track: AudioStream, sound: Callable[[float], float], seconds: Fraction
) -> None:
    times = np.arange(int(seconds * 48000)) / 48000
    tone = np.array([sound(second) for second in np.arange(0, float(seconds) + 0.01, 0.01)], np.float32)
    samples = (np.sin(2 * np.pi * 440 * times) * tone[(times * 100).astype(int)]).astype(np.float32)
    for first in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
        container.mux(track.encode(frame))
    container.mux(track.encode())


def _mix(join: str, before: Pixels, after: Pixels, share: float) -> Pixels:
    if join == "wipe":
        edge = round(before.shape[1] * share)
        return np.hstack([after[:, :edge], before[:, edge:]])
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def _scaled(frame: Pixels, gain: float) -> Pixels:
    return np.asarray(cv2.convertScaleAbs(frame, alpha=gain), np.uint8)
