"""`openrek bench`: tiny definitions against a real stack, what is stored, and the exit status."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from films import Films

from benchmarks.harness.runner import MET, MISSED
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


def bench(kind: str, text: str, folder: Path, environment: dict[str, str], *options: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the stored run."""
    (folder / "tiny.toml").write_text(text)
    command = [sys.executable, "-m", "openrek", "bench", kind, "--definition", str(folder / "tiny.toml"), "--fresh"]
    command += ["--results", str(folder), "--home", str(folder / "home"), "--json", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode in (MET, MISSED), done.stderr
    printed, stored = json.loads(done.stdout), json.loads((folder / "tiny.json").read_text())
    assert printed["rows"] == stored["rows"]
    return done.returncode, stored


def test_jobs_on_videos_of_its_own_stack(stack: Any, tmp_path: Path) -> None:
    status, stored = bench("video", VIDEO, tmp_path, stack.environment)
    rows = {row["kind"]: row for row in stored["rows"]}
    assert status == MET and {kind: row["frames"] for kind, row in rows.items()} == {"face_search": 15, "segments": 75}
    for row in rows.values():
        assert row["workers"] == 1 and row["times_real_time"] > 0
        assert row["ratio"] == pytest.approx(row["frames_per_second"] / row["loop_frames_per_second"])


def test_jobs_on_videos_of_an_endpoint_that_runs(stack: Any, films: Films, tmp_path: Path) -> None:
    drawn_clips.write(films.folder / "clip.mp4", 1.0)
    options = ["--endpoint", stack.endpoint, "--region", stack.region]
    options += ["--credentials", str(stack.home / "credentials")]
    status, stored = bench("video", VIDEO.format(bucket=films.bucket), tmp_path, stack.environment, *options)
    assert status == MET and {row["kind"] for row in stored["rows"]} == {"face_search", "segments"}
    assert all(row["times_real_time"] > 0 and "ratio" not in row for row in stored["rows"])
    with pytest.raises(AssertionError, match="s3_bucket"):
        bench("video", VIDEO.format(bucket=""), tmp_path, stack.environment, *options)
