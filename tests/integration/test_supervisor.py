"""The supervisor with small programs as its parts."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from openrek import logs, processes
from openrek import supervisor as supervisor_module
from openrek.errors import PartFailed
from openrek.supervisor import Part, Supervisor

SERVE = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
WITH_A_CHILD = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
STUBBORN = "import signal, sys, time, pathlib; signal.signal(15, signal.SIG_IGN); pathlib.Path(sys.argv[1]).touch()"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: list[str]) -> Callable[[Callable[[Supervisor], Coroutine[Any, Any, None]]], None]:
    """Runs a coroutine with a supervisor and stops whatever it started."""

    async def run(body: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> None:
        before = processes.children()
        supervisor = Supervisor(tmp_path, tmp_path, os.environ, said.append)
        try:
            await body(supervisor)
        finally:
            await supervisor.stop(3.0)
        assert processes.children() == before

    return lambda body: asyncio.run(run(body))


def _part(program: str, mark: Path, name: str = "part", stage: int = 0) -> Part:
    async def ready() -> bool:
        return mark.exists()

    return Part(name, (sys.executable, "-c", program, str(mark)), ready, stage, ready_seconds=10.0)


def _pid(folder: Path, name: str = "part") -> int:
    return int((folder / f"{name}.pid").read_text().split()[0])


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def test_a_part_that_dies_is_started_again(supervise: Any, tmp_path: Path, said: list[str]) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(_part(SERVE, tmp_path / "mark"))
        first = _pid(tmp_path)
        (tmp_path / "mark").unlink()
        os.kill(first, signal.SIGKILL)
        await _until(lambda: (tmp_path / "mark").exists() and any("ready again" in line for line in said))
        assert _pid(tmp_path) != first

    supervise(body)
    assert said[1] == "part ended (signal 9), starting it again"


def test_a_part_is_kept_running_though_nothing_can_be_noted_on_the_disk(supervise: Any, tmp_path: Path) -> None:
    """As on a full one: here the pid file cannot be written, and a log that is due for rotation not be copied."""

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(_part(SERVE, tmp_path / "mark"))
        first = _pid(tmp_path)
        (tmp_path / "mark").unlink()
        supervisor._pid_dir = tmp_path / "gone"
        (tmp_path / "part.log.1").symlink_to("/dev/full")
        os.truncate(tmp_path / "part.log", logs.LARGEST_LOG_BYTES + 1)
        watching = asyncio.create_task(supervisor.watch())
        os.kill(first, signal.SIGKILL)
        await _until((tmp_path / "mark").exists)
        await asyncio.sleep(3 * supervisor_module.HOUSEKEEPING_SECONDS)
        assert not watching.done()
        watching.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor_module, "HOUSEKEEPING_SECONDS", 0.1)
        supervise(body)


def test_what_a_dead_part_left_behind_ends_too(supervise: Any, tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        (tmp_path / "mark").touch()
        await supervisor.start(_part(WITH_A_CHILD, tmp_path / "mark"))
        part = psutil.Process(_pid(tmp_path))
        await _until(lambda: bool(part.children()))
        (child,) = part.children()
        part.kill()
        await _until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    supervise(body)


def test_a_part_that_never_gets_ready_is_given_up_with_the_end_of_its_log(supervise: Any, tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        with pytest.raises(
            PartFailed, match=r"part ended 3 times before it was ready \(exit code 1\)(.|\n)*no such luck"
        ):
            await supervisor.start(_part("raise SystemExit('no such luck')", tmp_path / "mark"))

    supervise(body)


def test_parts_stop_in_order_and_a_stubborn_one_is_killed(supervise: Any, tmp_path: Path, said: list[str]) -> None:
    ended = tmp_path / "ended"
    note = f"""
import atexit, signal, sys, time, pathlib
signal.signal(15, lambda *_: sys.exit())
atexit.register(lambda: open({str(ended)!r}, 'a').write(pathlib.Path(sys.argv[1]).name + ' '))
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(_part(note, tmp_path / "last", "last", stage=2))
        await supervisor.start(_part(note, tmp_path / "first", "first", stage=0))
        await supervisor.start(_part(STUBBORN + "; time.sleep(60)", tmp_path / "stubborn", "stubborn", stage=1))

    started = time.monotonic()
    supervise(body)
    assert ended.read_text() == "first last "
    assert "stubborn did not stop in 1 s and is killed" in said
    assert time.monotonic() - started < 8


def test_a_command_that_fails_shows_its_log(supervise: Any, tmp_path: Path) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.run("good", [sys.executable, "-c", ""])
        with pytest.raises(PartFailed, match=r"bad failed(.|\n)*out of luck"):
            await supervisor.run("bad", [sys.executable, "-c", "raise SystemExit('out of luck')"])

    supervise(body)


def test_a_leftover_is_stopped_but_not_a_stranger_with_its_old_number(tmp_path: Path) -> None:
    path = tmp_path / "part.pid"
    with psutil.Popen(["sleep", "60"]) as process:
        path.write_text(f"{process.pid} {process.create_time() - 1000}\n")
        assert not processes.stop_leftover(path, signal.SIGTERM, 5.0)
        assert process.poll() is None
        processes.write_pid_file(path, process.pid)
        assert processes.stop_leftover(path, signal.SIGTERM, 5.0)
        assert not psutil.pid_exists(process.pid)
    assert not path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of our death only on Linux")
def test_children_do_not_survive_us(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, sys
sys.path.insert(0, {str(Path(processes.__file__).parents[1])!r})
from pathlib import Path
from openrek.supervisor import Part, Supervisor
async def ready(): return True
async def main():
    supervisor = Supervisor(Path({str(tmp_path)!r}), Path({str(tmp_path)!r}), os.environ, print)
    await supervisor.start(Part("part", ("sleep", "60"), ready, 0))
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    with psutil.Popen([sys.executable, "-c", program]) as process:
        assert process.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while psutil.pid_exists(_pid(tmp_path)) and psutil.Process(_pid(tmp_path)).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
