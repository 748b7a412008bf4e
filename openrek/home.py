"""The home folder: what is where, who may read it, and that only one OpenRek runs on it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openrek.errors import HomeInUse, HomeUnusable
from openrek.settings import Settings, postgres_sockets, socket_base, sockets


def logs(home: Path) -> Path:
    return home / "logs"


def pids(home: Path) -> Path:
    return home / "run"


def credentials(home: Path) -> Path:
    """An AWS shared-credentials file, mode 0600."""
    return home / "credentials"


def vector_snapshots(home: Path, place: int = 0) -> Path:
    """Of the vector index server at one place among their addresses."""
    return home / (f"vectorindex-{place + 1}" if place else "vectorindex")


def demo_output(home: Path) -> Path:
    return home / "demo"


def create(settings: Settings) -> None:
    """Make the folders of a home, private where they must be. Raises HomeUnusable."""
    home = settings.home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (logs(home), vector_snapshots(home), settings.models_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (socket_base(home), pids(home), sockets(home)):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HomeUnusable(f"the home folder {home} cannot be used: {error}") from error
    if socket_base(home) != home and socket_base(home).stat().st_uid != os.geteuid():
        raise HomeUnusable(f"{socket_base(home)}, needed for sockets, belongs to another user")


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home for one `openrek serve`. Raises HomeInUse."""
    path = pids(home) / "serve.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise HomeInUse(f"OpenRek is already running (pid {file.read().strip()}) on {home}") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def remove_sockets(home: Path) -> None:
    """Remove the sockets of servers that are gone; called with the home locked and nothing running on it."""
    for path in (*sockets(home).glob("*.sock"), *postgres_sockets(home).glob(".s.PGSQL.*")):
        path.unlink()
