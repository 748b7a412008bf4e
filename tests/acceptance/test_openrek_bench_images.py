"""`openrek bench`: tiny definitions against a real stack, what is stored, and the exit status."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness.runner import MET, MISSED

IMAGES = """
title = "Tiny"
about = "For a test."
operations = ["DetectFaces", "CompareFaces", "IndexFaces", "SearchUsersByImage"]
clients = [1, 2]
shares = [0.5]
rounds = 1
seconds = 0.2
open_seconds = 0.5
pictures = [{ side = 320, faces = 1 }, { side = 320, faces = 0 }]
[[bar]]
figure = "ratio"
at_least = {least}
where = { endpoint = "ours", clients = 2 }
[[bar]]
figure = "errors"
at_most = 0
where = { endpoint = "ours" }
"""
SOAK = """
title = "Tiny"
about = "For a test."
minutes = 0.15
clients = 2
sample_seconds = 0.5
settle_minutes = 2
job_results_minutes = 5
[warm_up]
minutes = 0.05
[mix]
DetectFaces = 5
IndexFaces = 5
SearchFaces = 5
collection = 2
user = 2
video = 5
"malformed request" = 5
"aborted connection" = 5
[tolerance]
unique_mb = 1000
resident_mb = 1000
files = 1000
sockets = 1000
threads = 1000
processes = 1000
restarts = 0
connections = 1000
megabytes = 1000
[[bar]]
figure = "share_per_hour"
at_most = 0
[[bar]]
figure = "errors"
at_most = 0
where = { what = "operation" }
[[bar]]
figure = "left_over"
at_most = 0
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


def test_images_beside_an_endpoint_that_knows_little(stack: Any, s3_server: str, tmp_path: Path) -> None:
    places = ["--endpoint", f"ours={stack.endpoint}", "--endpoint", f"moto={s3_server}"]
    places += ["--credentials", str(stack.home / "credentials"), "--region", stack.region]
    text = IMAGES.replace("{least}", "1000.0")
    status, stored = bench("images", text, tmp_path, stack.environment, *places)
    assert status == MISSED and [bar["met"] for bar in stored["bars"]] == [False, True]
    assert len(stored["rows"]) == 4 * 3 * 2
    for row in stored["rows"]:
        if row["endpoint"] == "moto" and row["operation"] != "CompareFaces":
            assert row["answers"] == 0 and row["errors"] > 0 and "ratio" not in row
        if row["endpoint"] == "ours":
            assert row["errors"] == 0 and row["error_types"] == {}
        if row["endpoint"] == "ours" and row["load"] == "closed":
            assert row["answers"] >= 2 * row["clients"] and 0 < row["p50_ms"] <= row["p99_ms"]
            assert row["ratio"] > 0 and ("added_ms" in row) == (row["clients"] == 1)


def test_images_of_the_owner(stack: Any, tmp_path: Path, collins: bytes, hopper: bytes) -> None:
    (tmp_path / "data").mkdir()
    for name, data in (("a.jpg", collins), ("b.jpeg", hopper), ("notes.txt", b"no picture")):
        (tmp_path / "data" / name).write_bytes(data)
    options = ["--endpoint", f"ours={stack.endpoint}", "--data", str(tmp_path / "data")]
    options += ["--credentials", str(stack.home / "credentials"), "--region", stack.region]
    text = IMAGES.replace("{least}", "0.0").replace('"DetectFaces", "CompareFaces", "IndexFaces", ', "")
    status, stored = bench("images", text, tmp_path, stack.environment, *options)
    assert status == MET and {row["operation"] for row in stored["rows"]} == {"SearchUsersByImage"}


def test_soak_of_its_own_stack(stack: Any, tmp_path: Path) -> None:
    status, stored = bench("soak", SOAK, tmp_path, stack.environment)
    assert status == MET, [bar for bar in stored["bars"] if not bar["met"]]
    rows = {(row["what"], row["name"], row.get("resource")): row for row in stored["rows"]}
    assert rows["operation", "all", None]["answers"] > 0 and sum(rows["operation", "all", None]["values"]) > 0
    for part in ("api", "inference", "vectorindex", "worker", "valkey", "postgres", "serve"):
        assert rows["process", part, "unique_mb"]["start"] > 0
        series = rows["process", part, "files"]
        assert len(series["minutes"]) == len(series["values"]) > 1
    assert rows["database", "database", "connections"]["start"] >= 1
    assert rows["rows", "faces", None]["left_over"] == 0 and rows["rows", "jobs", None]["by_design"]


def test_soak_of_an_endpoint_that_knows_little(stack: Any, s3_server: str, tmp_path: Path) -> None:
    options = ["--endpoint", f"moto={s3_server}", "--credentials", str(stack.home / "credentials")]
    status, stored = bench("soak", SOAK, tmp_path, stack.environment, *options)
    assert status == MISSED
    assert {row["what"] for row in stored["rows"]} == {"operation"}
    rows = {row["name"]: row for row in stored["rows"]}
    assert rows["IndexFaces"]["errors"] > 0 and rows["IndexFaces"]["answers"] == 0
