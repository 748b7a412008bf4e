"""Processes in general: who dies with whom, who is left over, what they have. Knows nothing of OpenRek's parts."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SAME_START_SECONDS = 2.0

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies (Linux), so that none gets away."""
    if _libc:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_at_parents_death(number: signal.Signals) -> Callable[[], None]:
    """What a new child calls to be sent the signal when we die (Linux; elsewhere it does nothing)."""
    parent = os.getpid()

    def arrange() -> None:
        if _libc:
            _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return arrange


def memory() -> int:
    """The memory of this machine, or of the container (cgroup v2) that we run in, in bytes."""
    whole = int(psutil.virtual_memory().total)
    try:
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # ValueError: "max", no limit
        return whole


def identity(user: int | None) -> dict[str, Any]:
    """Arguments of subprocess that make a child run as `user`, without root's groups."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": ()}


def write_pid_file(path: Path, pid: int) -> None:
    """Note a running process: its id and when it started, which together name it for good.

    A full disk is no reason not to run: such a process only cannot be found by those who did not start it.
    """
    with suppress(psutil.NoSuchProcess, OSError):
        path.write_text(f"{pid} {psutil.Process(pid).create_time()}\n")


def stop_leftover(path: Path, number: signal.Signals, timeout_seconds: float) -> bool:
    """Stop the process noted in a pid file, and its children, if it still runs. Returns whether it did."""
    try:
        pid, started = path.read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(started)) > SAME_START_SECONDS:
            raise psutil.NoSuchProcess(int(pid))
        family = [process, *process.children(recursive=True)]
        process.send_signal(number)
    except (OSError, ValueError, psutil.Error):
        path.unlink(missing_ok=True)
        return False
    _, alive = psutil.wait_procs(family, timeout=timeout_seconds)
    _kill(alive)
    path.unlink(missing_ok=True)
    return True


def children() -> set[int]:
    """The ids of our children."""
    return {child.pid for child in psutil.Process().children()}


def end_children_except(known: Collection[int]) -> None:
    """Kill each child of ours that is not in `known` (ids) and collect it: what a dead part left behind."""
    for child in psutil.Process().children():
        if child.pid not in known:
            _kill([child, *_descendants(child)])
            with suppress(ChildProcessError):
                os.waitpid(child.pid, 0)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
