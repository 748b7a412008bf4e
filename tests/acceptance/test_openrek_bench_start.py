"""`openrek bench start` as an owner runs it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from openrek.settings import Settings
from openrek.stack import apis

DEFINITION = """
title = "One start"
about = "In a new home and in the same one."
turns = 1
rest_seconds = 0

[[bar]]
figure = "memory_mb"
at_most = 1500
"""


def test_a_start_in_a_new_home_and_one_in_the_same(tmp_path: Path) -> None:
    definition = tmp_path / "one.toml"
    definition.write_text(DEFINITION)
    command = [sys.executable, "-m", "openrek", "bench", "start", "--definition", str(definition), "--json"]
    done = subprocess.run([*command, "--results", str(tmp_path)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "one.json").read_text())
    assert json.loads(done.stdout)["rows"] == stored["rows"]
    new, used = stored["rows"]
    assert (new["home"], used["home"]) == ("new", "used")
    for row in (new, used):
        assert row["ready_seconds"] > 0
        assert {f"{part}_mb" for part in apis(Settings.from_environment())} | {
            "inference_mb",
            "postgres_mb",
            "valkey_mb",
            "vectorindex_mb",
            "worker_mb",
        } <= set(row)
        # No part is smaller than an interpreter that serves, none larger than the whole.
        assert all(1 < row[name] < row["memory_mb"] for name in row if name.endswith("_mb") and name != "memory_mb")


def test_told_to_end_it_stops_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(DEFINITION.replace("rest_seconds = 0", "rest_seconds = 600"))
    command = [sys.executable, "-m", "openrek", "bench", "start", "--definition", str(tmp_path / "long.toml")]
    process = psutil.Popen([*command, "--results", str(tmp_path)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any("postgres" in one.name() for one in process.children(recursive=True)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    started = process.children(recursive=True)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert psutil.wait_procs(started, 10)[1] == []


def test_a_running_endpoint_cannot_be_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openrek", "bench", "start", "--endpoint", Settings.from_environment().endpoint]
    done = subprocess.run([*command, "--results", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "leave out --endpoint" in done.stderr
