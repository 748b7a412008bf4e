"""Shots and technical cues of stored videos through boto3."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from films import Films
from scenes import FILM, HEIGHT, WIDTH, Picture, film, portrait, scenes, sign

from inference.video.timecodes import timecode

SLOWED = Fraction(30000, 1001)
BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
BARS = ((192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0), (192, 0, 192), (192, 0, 0), (0, 0, 192))
CLIP = replace(FILM, rate=SLOWED, key_every=30, sound=True)


def _bars() -> Picture:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for n, colour in enumerate(BARS):
        picture[:, n * WIDTH // 7 : (n + 1) * WIDTH // 7] = colour
    return picture


def _moving(picture: Picture, frames: int) -> list[Picture]:
    """A picture that slides by, as none in a film stands quite still."""
    return [np.roll(picture, n, axis=1) for n in range(frames)]


@pytest.fixture(scope="module")
def cut(films: Films, collins: bytes, hopper: bytes) -> str:
    """Three shots of 30, 45 and 15 frames at 30000/1001 frames a second."""
    pictures = _moving(portrait(collins), 30) + _moving(sign("NORTH", "GATE"), 45) + _moving(portrait(hopper), 15)
    films.add("cut.mp4", film(pictures, CLIP))
    return "cut.mp4"


@pytest.fixture(scope="module")
def broadcast(films: Films, collins: bytes) -> str:
    """Bars, a second and a half of black, and a programme; without sound."""
    pictures = scenes((_bars(), 60), (BLACK, 45)) + _moving(portrait(collins), 60)
    films.add("broadcast.mp4", film(pictures, replace(CLIP, sound=False)))
    return "broadcast.mp4"


def _segments(answer: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for one in answer["Segments"] if one["Type"] == kind]


def test_shots_are_cut_to_the_frame(films: Films, cut: str) -> None:
    answer = films.of("SegmentDetection", cut, SegmentTypes=["SHOT"])
    shots = _segments(answer, "SHOT")
    assert shots == answer["Segments"]
    assert [(one["StartFrameNumber"], one["EndFrameNumber"]) for one in shots] == [(0, 29), (30, 74), (75, 89)]
    assert [one["ShotSegment"]["Index"] for one in shots] == [0, 1, 2]
    assert all(one["ShotSegment"]["Confidence"] >= 50 and "TechnicalCueSegment" not in one for one in shots)
    assert [(one["StartTimestampMillis"], one["EndTimestampMillis"]) for one in shots] == [
        (0, 967), (1001, 2469), (2502, 2969),
    ]  # fmt: skip
    assert [(one["StartTimecodeSMPTE"], one["EndTimecodeSMPTE"], one["DurationSMPTE"]) for one in shots] == [
        ("00:00:00;00", "00:00:00;29", "00:00:00;29"),
        ("00:00:01;00", "00:00:02;14", "00:00:01;14"),
        ("00:00:02;15", "00:00:02;29", "00:00:00;14"),
    ]
    assert answer["SelectedSegmentTypes"] == [{"Type": "SHOT", "ModelVersion": "2.0"}]


def test_segments_and_streams_on_every_page(films: Films, cut: str) -> None:
    answer = films.of("SegmentDetection", cut, SegmentTypes=["TECHNICAL_CUE", "SHOT", "SHOT"])
    (video,), (audio,) = answer["VideoMetadata"], answer["AudioMetadata"]
    assert (video["Codec"], video["FrameWidth"], video["FrameHeight"]) == ("h264", WIDTH, HEIGHT)
    assert video["FrameRate"] == pytest.approx(29.97003) and video["Format"] == "QuickTime / MOV"
    assert (audio["Codec"], audio["SampleRate"], audio["NumberOfChannels"]) == ("aac", 48000, 2)
    assert audio["DurationMillis"] == pytest.approx(video["DurationMillis"], abs=100)
    assert [one["Type"] for one in answer["SelectedSegmentTypes"]] == ["SHOT", "TECHNICAL_CUE"]
    kinds = [one["Type"] for one in answer["Segments"]]
    assert kinds == sorted(kinds, reverse=True), "cues, then shots"
    pages = films.pages("SegmentDetection", answer["JobId"], MaxResults=2)
    assert [one for page in pages for one in page["Segments"]] == answer["Segments"] and len(pages) > 1
    assert all(page["VideoMetadata"] == [video] and page["AudioMetadata"] == [audio] for page in pages)
    for one in answer["Segments"]:
        assert one["DurationFrames"] == one["EndFrameNumber"] - one["StartFrameNumber"]
        assert one["DurationMillis"] == one["EndTimestampMillis"] - one["StartTimestampMillis"]
        assert one["DurationSMPTE"] == timecode(one["DurationFrames"], SLOWED)
        assert one["StartTimestampMillis"] == one["StartFrameNumber"] * 1001 // 30


def test_cues_cover_the_programme(films: Films, broadcast: str) -> None:
    answer = films.of("SegmentDetection", broadcast, SegmentTypes=["TECHNICAL_CUE"])
    cues = answer["Segments"]
    assert [one["TechnicalCueSegment"]["Type"] for one in cues] == ["ColorBars", "BlackFrames", "Content"]
    assert answer["AudioMetadata"] == []
    assert cues[0]["StartFrameNumber"] == 0 and cues[-1]["EndFrameNumber"] == 164
    for before, after in pairwise(cues):
        assert before["EndFrameNumber"] == after["StartFrameNumber"], "neighbours share a frame"
    assert abs(cues[1]["StartFrameNumber"] - 60) <= 1 and abs(cues[1]["EndFrameNumber"] - 105) <= 1
    assert all(50 <= one["TechnicalCueSegment"]["Confidence"] <= 100 for one in cues)


def test_what_is_black_is_the_callers_choice(films: Films, broadcast: str) -> None:
    everything = {"BlackFrame": {"MaxPixelThreshold": 1.0, "MinCoveragePercentage": 50}}
    answer = films.of(
        "SegmentDetection", broadcast, SegmentTypes=["TECHNICAL_CUE"], Filters={"TechnicalCueFilter": everything}
    )
    black = [one for one in answer["Segments"] if one["TechnicalCueSegment"]["Type"] == "BlackFrames"]
    assert black and black[-1]["EndFrameNumber"] == 164, "the programme too"
