"""`openrek serve` as a person starts it: one stack for the module, and some that are started and stopped."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg
import pytest

from openrek.settings import Settings
from openrek.stack import apis

PARTS = (apis(Settings.from_environment({}))[0], "inference", "postgres", "valkey", "vectorindex", "worker")
START_SECONDS = 60.0
BACK_SECONDS = 15.0
AS_AN_ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


@dataclass(frozen=True)
class Stack:
    """A started `openrek serve`: its process, home, port and what it has printed so far."""

    process: psutil.Popen
    home: Path
    port: int

    def said(self) -> str:
        return (self.home / "said").read_text()

    def readyz(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def part(self, name: str) -> psutil.Process:
        return psutil.Process(int((self.home / "run" / f"{name}.pid").read_text().split()[0]))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _serve(home: Path, models_dir: Path, port: int, *, prefix: tuple[str, ...] = (), **environment: str) -> Stack:
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENREK_"))}
    command = [*prefix, sys.executable, "-P", "-m", "openrek", "serve", "--home", str(home), "--port", str(port)]
    with (home / "said").open("wb") as said:
        process = psutil.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=kept | {"OPENREK_MODELS_DIR": str(models_dir)} | environment,
            start_new_session=True,
        )
    return Stack(process, home, port)


def _until(condition: Any, seconds: float, why: Any) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def _wait_until_ready(stack: Stack, seconds: float = START_SECONDS) -> None:
    _until(lambda: "is ready" in stack.said() or stack.process.poll() is not None, seconds, stack.said)
    assert stack.process.poll() is None, stack.said()


def _stop(stack: Stack) -> int:
    """TERM; returns the exit code once every process that descended from the stack is gone."""
    family = [stack.process, *stack.process.children(recursive=True)]
    stack.process.terminate()
    code = int(stack.process.wait(20))
    left = [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    return code


@contextlib.contextmanager
def _running(home: Path, models_dir: Path, **options: Any) -> Iterator[Stack]:
    stack = _serve(home, models_dir, _free_port(), **options)
    try:
        _wait_until_ready(stack)
        yield stack
    finally:
        if stack.process.poll() is None:
            _stop(stack)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        yield Path(folder) / "home"


@pytest.fixture(scope="module")
def stack(models_dir: Path) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder, _running(Path(folder) / "home", models_dir) as stack:
        yield stack


def _client(stack: Stack) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(stack.home / "credentials"))
        return boto3.Session().client(
            "rekognition", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{stack.port}"
        )


def test_it_says_what_one_needs_to_know(stack: Stack) -> None:
    key_id = re.search(r"aws_access_key_id = (\w+)", (stack.home / "credentials").read_text())
    assert key_id
    for wanted in (f"http://127.0.0.1:{stack.port}", "us-east-1", key_id[1], str(stack.home / "credentials")):
        assert wanted in stack.said()


def test_the_credentials_work_and_are_private(stack: Stack) -> None:
    assert isinstance(_client(stack).list_collections()["CollectionIds"], list)
    for name in ("credentials", "secret.key"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600


def test_the_command_to_try_works(stack: Stack) -> None:
    command = re.search(r"or with boto3:\n\n(.*)\n\n", stack.said(), re.DOTALL)
    assert command
    done = subprocess.run(["bash", "-c", command[1]], capture_output=True, text=True, timeout=30)
    assert "CollectionIds" in done.stdout, done.stderr


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_is_killed_comes_back(stack: Stack, name: str) -> None:
    killed = stack.part(name)
    killed.kill()
    again = f"{name} ready again"
    _until(lambda: again in stack.said() and stack.readyz()[0] == 200, BACK_SECONDS, stack.said)
    assert stack.part(name).pid != killed.pid
    _client(stack).list_collections()


@pytest.mark.parametrize(("name", "reported_as"), [("inference", "inference"), ("vectorindex", "vectorindex")])
def test_readiness_names_the_part_that_does_not_answer(stack: Stack, name: str, reported_as: str) -> None:
    part = stack.part(name)
    part.suspend()
    try:
        status, answer = stack.readyz()
    finally:
        part.resume()
    assert status == 503
    assert [part for part, state in answer["parts"].items() if state != "ready"] == [reported_as]
    _until(lambda: stack.readyz()[0] == 200, BACK_SECONDS, stack.said)


def test_a_second_start_on_the_same_home_says_so(stack: Stack, models_dir: Path) -> None:
    said = stack.said()
    second = subprocess.run(
        [sys.executable, "-P", "-m", "openrek", "serve", "--home", str(stack.home), "--port", str(_free_port())],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert second.stderr == f"openrek: OpenRek is already running (pid {stack.process.pid}) on {stack.home}\n"
    assert stack.said() == said
    assert stack.readyz()[0] == 200


def test_a_port_in_use_says_so(stack: Stack, home: Path, models_dir: Path) -> None:
    second = _serve(home, models_dir, stack.port)
    assert second.process.wait(20) == 1
    assert second.said().startswith(f"openrek: cannot listen on 127.0.0.1:{stack.port}: the port is in use")


@pytest.mark.alone
def test_it_stops_leaving_nothing_and_starts_again_quickly_with_its_data(home: Path, models_dir: Path) -> None:
    with _running(home, models_dir) as stack:
        _client(stack).create_collection(CollectionId="kept")
        credentials = (home / "credentials").read_text()
        assert _stop(stack) == 0
    started = time.monotonic()
    with _running(home, models_dir) as stack:
        assert time.monotonic() - started < 15
        assert _client(stack).list_collections()["CollectionIds"] == ["kept"]
        assert (home / "credentials").read_text() == credentials

        stack.process.kill()
        stack.process.wait()
    with _running(home, models_dir) as stack:
        assert _client(stack).list_collections()["CollectionIds"] == ["kept"], "after it was killed"


def test_given_stores_are_used_and_several_api_processes_share_the_port(
    home: Path, models_dir: Path, database_url: str, broker_url: str
) -> None:
    given = {"DATABASE_URL": database_url, "REDIS_URL": broker_url.replace("redis+socket:", "unix:")}
    with _running(home, models_dir, OPENREK_API_PROCESSES="2", **given) as stack:
        assert {path.stem for path in (home / "run").glob("*.pid")} == {
            *("inference", "vectorindex", "worker", "api-1", "api-2")
        }
        _client(stack).create_collection(CollectionId="there")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT name FROM collections").fetchall() == [("there",)]


def test_an_ordinary_user_with_a_long_path(models_dir: Path, tmp_path: Path) -> None:
    prefix = AS_AN_ORDINARY_USER if os.geteuid() == 0 else ()
    with _running(tmp_path / ("long" * 25), models_dir, prefix=prefix) as stack:
        assert _client(stack).list_collections()["CollectionIds"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user to run PostgreSQL")
def test_root_where_user_namespaces_are_not_permitted(home: Path, models_dir: Path, tmp_path: Path) -> None:
    refused = tmp_path / "unshare"
    refused.write_text("#!/bin/sh\nexit 1\n")
    refused.chmod(0o755)
    with _running(home, models_dir, PATH=f"{tmp_path}:{os.environ['PATH']}") as stack:
        assert "as the user nobody" in stack.said()
        assert stack.part("postgres").uids().effective == 65534
        assert _client(stack).list_collections()["CollectionIds"] == []
    shutil.rmtree(home)


def test_a_stop_while_it_starts_leaves_nothing(home: Path, models_dir: Path) -> None:
    stack = _serve(home, models_dir, _free_port())
    _until(lambda: "postgres ready" in stack.said(), START_SECONDS, stack.said)
    os.kill(stack.process.pid, signal.SIGINT)
    assert stack.process.wait(20) == 0
    assert "is ready" not in stack.said()
