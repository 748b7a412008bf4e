"""SMPTE timecodes of frame numbers (ST 12-1), for video without a timecode track: the first frame is 00:00:00:00."""

from fractions import Fraction

DROPPED_PER_MINUTE = {30: 2, 60: 4}
"""Numbers left out at the start of each minute but every tenth, by the nominal rate: at 30000/1001 and 60000/1001
frames a second that keeps the timecode with the clock."""
SLOWED = Fraction(1000, 1001)
TOLERANCE = Fraction(1, 5000)
"""How far a rate may be from n * 1000/1001 to be taken for it: containers round, and the nearest other rate, n, is five
times as far."""


def timecode(frame: int, rate: Fraction) -> str:
    """HH:MM:SS:FF of a frame number or a number of frames, at `rate` frames a second; HH:MM:SS;FF at drop-frame rates.

    Hours go on beyond 23. A rate under half a frame a second counts as one.
    """
    nominal = max(1, round(rate))
    dropped = DROPPED_PER_MINUTE.get(nominal, 0) if _is_slowed(rate, nominal) else 0
    number = frame + _left_out(frame, nominal, dropped)
    seconds, frames = divmod(number, nominal)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}{';' if dropped else ':'}{frames:02}"


def _is_slowed(rate: Fraction, nominal: int) -> bool:
    return abs(rate / (nominal * SLOWED) - 1) < TOLERANCE


def _left_out(frame: int, nominal: int, dropped: int) -> int:
    """How many numbers are left out up to a frame."""
    per_minute = 60 * nominal - dropped
    per_ten_minutes = 10 * per_minute + dropped
    tens, rest = divmod(frame, per_ten_minutes)
    # The first minute of ten is the full one.
    minutes = max(0, rest - dropped) // per_minute
    return dropped * (9 * tens + minutes)
