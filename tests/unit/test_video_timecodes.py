from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.video.timecodes import timecode

NTSC = Fraction(30_000, 1001)
DAY = 24 * 6 * 17_982  # frames of 29.97 drop-frame in 24 hours


@pytest.mark.parametrize(
    ("frame", "rate", "expected"),
    [
        # GetSegmentDetection's sample in the developer guide.
        (0, NTSC, "00:00:00;00"),
        (299, NTSC, "00:00:09;29"),
        (300, NTSC, "00:00:10;00"),
        (449, NTSC, "00:00:14;29"),
        # Two numbers are left out each minute, but for every tenth (SMPTE ST 12-1).
        (1799, NTSC, "00:00:59;29"),
        (1800, NTSC, "00:01:00;02"),
        (17_981, NTSC, "00:09:59;29"),
        (17_982, NTSC, "00:10:00;00"),
        (DAY // 24, NTSC, "01:00:00;00"),
        (DAY, NTSC, "24:00:00;00"),
        (3600, Fraction(60_000, 1001), "00:01:00;04"),
        (35_964, Fraction(60_000, 1001), "00:10:00;00"),
        # As a container with coarse ticks tells the rate.
        (1800, Fraction(2997, 100), "00:01:00;02"),
        # Nothing is left out at other rates.
        (1800, Fraction(30), "00:01:00:00"),
        (1440, Fraction(24_000, 1001), "00:01:00:00"),
        (86_400, Fraction(24_000, 1001), "01:00:00:00"),
        (1500, Fraction(25), "00:01:00:00"),
        (3000, Fraction(50), "00:01:00:00"),
        (7, Fraction(10), "00:00:00:07"),
        (3, Fraction(1, 10), "00:00:03:00"),
    ],
)
def test_samples(frame: int, rate: Fraction, expected: str) -> None:
    assert timecode(frame, rate) == expected


@given(st.integers(0, DAY), st.sampled_from([(NTSC, 30, 2), (Fraction(60_000, 1001), 60, 4)]))
def test_drop_frame_counts_every_frame_once(frame: int, kind: tuple[Fraction, int, int]) -> None:
    rate, nominal, dropped = kind
    now, then = timecode(frame, rate), timecode(frame + 1, rate)
    numbers = [[int(digits) for digits in code.replace(";", ":").split(":")] for code in (now, then)]
    assert all(not (s == 0 and f < dropped and m % 10) for _, m, s, f in numbers), "a number that is left out"
    one, other = (((h * 60 + m) * 60 + s) * nominal + f for h, m, s, f in numbers)
    left_out = dropped if numbers[1][1] % 10 and numbers[1][2:] == [0, dropped] else 0
    assert other == one + 1 + left_out


@given(st.integers(0, DAY))
@example(2_330_468)
def test_drop_frame_stays_with_the_clock(frame: int) -> None:
    """To the two numbers that are left out at a time, and a millionth part by which the rule drifts."""
    h, m, s, f = (int(digits) for digits in timecode(frame, NTSC).replace(";", ":").split(":"))
    seconds = frame / NTSC
    assert abs((h * 60 + m) * 60 + s + Fraction(f, 30) - seconds) <= Fraction(2, 30) + seconds / 999_999
