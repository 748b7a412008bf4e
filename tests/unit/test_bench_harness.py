"""Definitions, the runner, bars and the report of `openrek bench`."""

import json
import os
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from benchmarks.endpoint import Endpoint
from benchmarks.harness import bars, definition, plots, report, runner
from benchmarks.harness.definition import FOLDER, BadDefinition, Definition
from benchmarks.harness.load import closed_loop, open_loop, signed
from benchmarks.harness.runner import MET, MISSED, Case
from benchmarks.harness.targets import named

PLAIN = Definition(
    "plain",
    {
        "title": "Plain",
        "about": "About it.",
        "bar": [{"figure": "ratio", "at_least": 0.9, "where": {"clients": [1, 4]}}],
        "table": [{"columns": ["clients", "ratio"]}],
        "plot": [{"x": "clients", "y": "ratio"}],
    },
)


def cases(measured: list[int], fail_at: int | None = None) -> list[Case]:
    def measure(clients: int) -> dict[str, float]:
        if clients == fail_at:
            raise RuntimeError("the machine broke")
        measured.append(clients)
        return {"ratio": 1.0 / clients if clients > 4 else 0.95}

    return [Case({"clients": clients}, lambda clients=clients: measure(clients)) for clients in (1, 4, 16)]


def test_a_run_that_broke_is_continued_and_the_report_tells_what_is_stored(tmp_path: Path) -> None:
    path, measured = tmp_path / "plain.json", list[int]()
    with pytest.raises(RuntimeError):
        runner.run(PLAIN, cases(measured, fail_at=16), path, {"openrek": "here"})
    assert measured == [1, 4] and runner.stored(path) is None
    done = runner.run(PLAIN, cases(measured), path, {"openrek": "here"})
    assert measured == [1, 4, 16]
    assert done.status == MET and [row["clients"] for row in done.rows] == [1, 4, 16]
    assert runner.stored(path) == done
    written = report.write(tmp_path, tmp_path / "REPORT.md")
    assert {file.name for file in written} == {"REPORT.md", "plain_1.png"}
    text = (tmp_path / "REPORT.md").read_text()
    assert "| 16 | 0.0625 |" in text and "| ratio at least 0.9 (clients 1 or 4) | 0.95 | met |" in text


def test_a_run_says_how_much_of_the_processors_its_host_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Times = namedtuple("Times", ["user", "idle", "steal", "guest"])
    times = iter([Times(10.0, 5.0, 1.0, 2.0), Times(16.0, 8.0, 2.0, 8.0)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(times))
    done = runner.run(PLAIN, cases([]), tmp_path / "plain.json", {"openrek": "here"})
    assert done.machine["stolen_percent"] == pytest.approx(10.0)
    assert "10 % of the processors' time taken by the host" in report.markdown([done], "")


def test_runs_of_one_definition_have_headings_of_their_own(tmp_path: Path) -> None:
    for name in ("plain", "plain_again"):
        runner.run(PLAIN, cases([]), tmp_path / f"{name}.json", {"openrek": "here"})
    report.write(tmp_path, tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    assert "## Plain: plain\n" in text and "[Plain: plain again](#plain_again)" in text


@pytest.mark.parametrize("change", ["definition", "endpoint", "fresh", "complete"])
def test_what_was_measured_otherwise_is_not_continued(tmp_path: Path, change: str) -> None:
    path, measured = tmp_path / "plain.json", list[int]()
    with pytest.raises(RuntimeError):
        runner.run(PLAIN, cases(measured, fail_at=16), path, {"openrek": "here"})
    if change == "complete":
        runner.run(PLAIN, cases(measured), path, {"openrek": "here"})
        assert measured.pop() == 16
    other = Definition("plain", {**PLAIN.content, "title": "Other"}) if change == "definition" else PLAIN
    runner.run(other, cases(measured), path, {"aws" if change == "endpoint" else "openrek": "there"}, change == "fresh")
    assert measured == [1, 4, 1, 4, 16]


def test_bars_are_judged_by_the_worst_row_and_missed_without_one() -> None:
    rows = [{"ratio": 0.95, "clients": 1}, {"ratio": 0.5, "clients": 16}, {"clients": 64, "ratio": None}]
    found = bars.judged(
        [
            {"figure": "ratio", "at_least": 0.9},
            {"figure": "ratio", "at_most": 0.96},
            {"figure": "ratio", "at_least": 0.9, "where": {"clients": 1}},
            {"figure": "ratio", "at_least": 0.1, "where": {"clients": 64}},
        ],
        rows,
    )
    assert [(bar["worst"], bar["met"]) for bar in found] == [(0.5, False), (0.95, True), (0.95, True), (None, False)]
    assert runner.Run("a", {}, {}, {}, rows, found).status == MISSED


@pytest.mark.parametrize(
    "text",
    [
        "title = ",
        'title = "a"',
        'title = "a"\nabout = "b"\n[[bar]]\nfigure = "c"',
        'title = "a"\nabout = "b"\n[[bar]]\nfigure = "c"\nat_least = 1\nat_most = 2',
    ],
)
def test_a_broken_definition_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(BadDefinition, match=r"broken\.toml"):
        definition.load(tmp_path / "broken.toml")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_the_definitions_that_come_along_can_be_read(path: Path) -> None:
    assert definition.load(path).content["title"]


def test_plots_without_points_are_left_out() -> None:
    run = runner.Run("a", {}, PLAIN.content, {}, [{"clients": 1}], [])
    assert plots.of(run) == []


def test_endpoints_have_names() -> None:
    assert named(["http://a:1/"]) == {"openrek": "http://a:1"}
    assert named(["ours=http://a:1", "https://b"]) == {"ours": "http://a:1", "endpoint2": "https://b"}
    for wrong in (["a"], ["a=http://b", "a=http://c"]):
        with pytest.raises(ValueError, match="NAME=URL"):
            named(wrong)


@contextmanager
def slow_server(seconds: float) -> Iterator[str]:
    """Answers one request at a time, each after so many seconds; every fifth is an error of the service."""
    answered: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(seconds)
            answered.append(1)
            failed = len(answered) % 5 == 0
            body = json.dumps({"__type": "ThrottlingException"} if failed else {}).encode()
            self.send_response(400 if failed else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def place(url: str, folder: Path) -> Endpoint:
    credentials = folder / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n")
    return Endpoint(url, "us-east-1", credentials)


def test_a_closed_loop_counts_answers_and_errors(tmp_path: Path) -> None:
    with slow_server(0.0) as url:
        there = place(url, tmp_path)
        load = closed_loop(there, [signed(there, "ListCollections", {})] * 20, clients=4)
    figures = load.figures()
    assert figures["answers"] == 16 and figures["error_types"] == {"ThrottlingException": 4}
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_an_open_loop_counts_the_wait_of_those_who_came_meanwhile(tmp_path: Path) -> None:
    with slow_server(0.05) as url:
        there = place(url, tmp_path)
        requests = [signed(there, "ListCollections", {})] * 20
        alone = closed_loop(there, requests, clients=1).figures()
        crowded = open_loop(there, requests, per_second=1000.0, clients=1).figures()
    assert crowded["p50_ms"] > 4 * alone["p50_ms"]


def test_an_endpoint_that_is_not_there_is_an_error_of_each_request(tmp_path: Path) -> None:
    there = place("http://127.0.0.1:1", tmp_path)
    load = closed_loop(there, [signed(there, "ListCollections", {})] * 3, clients=1)
    assert load.figures()["error_types"] == {"ConnectionRefusedError": 3}


def test_numpy_is_loaded_for_one_thread_as_in_the_parts_that_are_measured() -> None:
    program = """
import os, sys
from benchmarks.harness import kinds
from openrek.cli import main

def prepare(*_):
    sys.exit("loaded" if "numpy" in sys.modules else os.environ["OPENBLAS_NUM_THREADS"])

kinds.prepare = prepare
main(["bench", "images"])
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip() == "1"
