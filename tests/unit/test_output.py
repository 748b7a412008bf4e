"""What `openrek serve` says to whoever started it."""

import sys
from pathlib import Path

import pytest

from openrek import stack


def test_serving_goes_on_when_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output may go to a file on a full disk, or to a pipe that was closed."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        stack._clock()("postgres ended (signal 9), starting it again")
        monkeypatch.undo()
        with pytest.raises(OSError):
            full.close()
