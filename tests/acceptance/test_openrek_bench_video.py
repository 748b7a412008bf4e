"""`openrek bench`: tiny definitions against a real stack, what is stored, and the exit status."""

from typing import Any

import pytest
from films import Films

from benchmarks.harness.runner import MET
from benchmarks.inputs import drawn_clips

VIDEO = """
title = "Tiny"
about = "For a test."
workers = [1]
rounds = 1
clips = 1
s3_bucket = "{bucket}"
s3_objects = ["clip.mp4"]
[seconds]
face_search = 3
segments = 3
[[bar]]
figure = "times_real_time"
at_least = 0.001
"""


def test_jobs_on_videos_of_its_own_stack(bench: Any) -> None:
    status, stored = bench("video", VIDEO)
    rows = {row["kind"]: row for row in stored["rows"]}
    assert status == MET and {kind: row["frames"] for kind, row in rows.items()} == {"face_search": 15, "segments": 75}
    for row in rows.values():
        assert row["workers"] == 1 and row["times_real_time"] > 0
        assert row["ratio"] == pytest.approx(row["frames_per_second"] / row["loop_frames_per_second"])


def test_jobs_on_videos_of_an_endpoint_that_runs(bench: Any, here: list[str], films: Films) -> None:
    drawn_clips.write(films.folder / "clip.mp4", 1.0)
    status, stored = bench("video", VIDEO.format(bucket=films.bucket), *here)
    assert status == MET and {row["kind"] for row in stored["rows"]} == {"face_search", "segments"}
    assert all(row["times_real_time"] > 0 and "ratio" not in row for row in stored["rows"])
    with pytest.raises(AssertionError, match="s3_bucket"):
        bench("video", VIDEO.format(bucket=""), *here)
