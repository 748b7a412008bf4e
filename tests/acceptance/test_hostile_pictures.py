"""Pictures made to hurt, through boto3: the modelled error, at once and in little memory."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from benchmarks import own_stack
from benchmarks.inputs import hostile_pictures
from benchmarks.speed import bodies

REFUSALS = {"InvalidImageFormatException", "ImageTooLargeException", "InvalidParameterException"}
MOST_SECONDS, MOST_MIB = 0.1, 200
MOST_MIB_OF_LARGEST = 340
"""For the largest pictures that are answered: as Pillow decodes them and as the networks read them, and those too."""
TRIES = 3
MANY_BYTES, MOST_NEW_PAGES = 1_000_000, 100
PARTS = ("api*", "inference")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")


def _pids(home: Path) -> list[str]:
    return [path.read_text().split()[0] for part in PARTS for path in sorted((home / "run").glob(f"{part}.pid"))]


class Peaks:
    """The peak of memory of the processes that hold a picture, from here on."""

    def __init__(self, home: Path) -> None:
        self._folders = [Path("/proc") / pid for pid in _pids(home)]
        for folder in self._folders:
            (folder / "clear_refs").write_text("5")
        self._before = self._peaks()

    def grown_mib(self) -> float:
        """The most that one of them has grown."""
        return max(after - before for before, after in zip(self._before, self._peaks(), strict=True))

    def _peaks(self) -> list[float]:
        statuses = [(folder / "status").read_text().splitlines() for folder in self._folders]
        return [int(line.split()[1]) / 1024 for lines in statuses for line in lines if line.startswith("VmHWM")]


def _outcome(client: Any, data: bytes) -> str:
    try:
        client.detect_faces(Image={"Bytes": data})
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return str(error.response["Error"]["Code"])
    return "answered"


def _seconds(home: Path, call: Callable[[], object]) -> float:
    """Processor time of these processes, the best of some tries: other work on the machine is not counted."""
    processes = [psutil.Process(int(pid)) for pid in _pids(home)]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    taken = []
    for _ in range(TRIES):
        start = used()
        call()
        taken.append(used() - start)
    return min(taken)


@pytest.mark.parametrize("name", hostile_pictures.REFUSED)
def test_what_is_no_decent_picture_is_refused_at_once(stack: Any, client: Any, name: str) -> None:
    data = hostile_pictures.REFUSED[name]()
    as_long = bytes(len(data))
    peaks = Peaks(stack.home)
    assert _outcome(client, data) in REFUSALS
    assert peaks.grown_mib() < MOST_MIB
    # sending, signing and parsing so many bytes is not what is measured
    beside = _seconds(stack.home, lambda: _outcome(client, as_long))
    assert _seconds(stack.home, lambda: _outcome(client, data)) - beside < MOST_SECONDS


@pytest.mark.parametrize("name", hostile_pictures.ACCEPTED)
def test_what_is_only_odd_is_answered(stack: Any, client: Any, name: str) -> None:
    data = hostile_pictures.ACCEPTED[name]()
    peaks = Peaks(stack.home)
    assert _outcome(client, data) == "answered"
    assert peaks.grown_mib() < MOST_MIB_OF_LARGEST


def test_the_memory_of_a_body_serves_the_next(stack: Any) -> None:
    """Pages that are new to a process take it longer than all else that it does with a body."""
    same = own_stack.at(stack.home, OPENREK_PORT=stack.endpoint.rpartition(":")[2])
    assert bodies.measure(same, MANY_BYTES, 20)["new_pages"] < MOST_NEW_PAGES
