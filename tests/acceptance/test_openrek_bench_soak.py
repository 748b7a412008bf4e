"""`openrek bench soak`: a tiny one of a stack of its own and of moto's server."""

from typing import Any

import pytest

from benchmarks.harness.runner import MET, MISSED

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


def test_soak_of_its_own_stack(bench: Any, monkeypatch: pytest.MonkeyPatch, stack: Any) -> None:
    monkeypatch.setitem(stack.environment, "OPENREK_API_PROCESSES", "2")
    status, stored = bench("soak", SOAK)
    assert status == MET, [bar for bar in stored["bars"] if not bar["met"]]
    rows = {(row["what"], row["name"], row.get("resource")): row for row in stored["rows"]}
    assert rows["operation", "all", None]["answers"] > 0 and sum(rows["operation", "all", None]["values"]) > 0
    for part in ("api-1", "api-2", "inference", "vectorindex", "worker", "valkey", "postgres", "serve"):
        assert rows["process", part, "unique_mb"]["start"] > 0
        series = rows["process", part, "files"]
        assert len(series["minutes"]) == len(series["values"]) > 1
    assert rows["database", "database", "connections"]["start"] >= 1
    assert rows["rows", "faces", None]["left_over"] == 0 and rows["rows", "jobs", None]["by_design"]


def test_soak_of_an_endpoint_that_knows_little(bench: Any, stack: Any, s3_server: str) -> None:
    options = ["--endpoint", f"moto={s3_server}", "--credentials", str(stack.home / "credentials")]
    status, stored = bench("soak", SOAK, *options)
    assert status == MISSED
    assert {row["what"] for row in stored["rows"]} == {"operation"}
    rows = {row["name"]: row for row in stored["rows"]}
    assert rows["IndexFaces"]["errors"] > 0 and rows["IndexFaces"]["answers"] == 0
