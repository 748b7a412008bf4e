"""A stack of one's own: `openrek serve` on a free port, in a folder that is thrown away."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.endpoint import Endpoint
from openrek import home
from openrek.settings import Settings

START_SECONDS, STOP_SECONDS = 120.0, 30.0


@dataclass(frozen=True)
class Stack:
    """A stack on this machine, by its settings. `environment` is that of commands which are to have the same.

    `root` is where its file system lies for us.
    """

    settings: Settings
    environment: Mapping[str, str]
    root: Path = Path("/")

    @property
    def home(self) -> Path:
        """The home folder, as a path for us."""
        return self.root / self.settings.home.relative_to("/")

    @property
    def database_url(self) -> str:
        """The database, as an address for us."""
        return self.settings.database_url.replace(str(self.settings.home), str(self.home))

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.settings.endpoint, self.settings.region, home.credentials(self.home))

    def pid(self, part: str) -> int | None:
        """The process id of a part, None while it is down."""
        try:
            text = (home.pids(self.home) / f"{part}.pid").read_text()
        except FileNotFoundError:
            return None
        return int(text.split()[0]) if text else None

    def parts(self) -> list[str]:
        """The parts that run, by name."""
        return sorted(path.stem for path in home.pids(self.home).glob("*.pid"))


def at(folder: Path, **variables: str) -> Stack:
    """The stack in a home folder, with settings from this environment and `variables`."""
    environment = {**os.environ, "OPENREK_HOME": str(folder), **variables}
    return Stack(Settings.from_environment(environment), environment)


@contextmanager
def serve(folder: Path, *, prefix: tuple[str, ...] = (), **variables: str) -> Iterator[Stack]:
    """Starts a stack in a folder, with `variables` in its environment, and stops it. What it says is in `serve.log`.

    `prefix` goes before the command, and may give it a file system of its own.
    Raises RuntimeError when it is not ready in time.
    """
    stack = at(folder / "home", OPENREK_PORT=str(free_port()), **variables)
    log = folder / "serve.log"
    command = [*prefix, sys.executable, "-P", "-m", "openrek", "serve"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(stack.environment), stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(stack.settings.endpoint, process, log)
        yield replace(stack, root=Path(f"/proc/{process.pid}/root")) if prefix else stack
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Waits until `url`/readyz is answered with 200. Raises RuntimeError with the log when it never is."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{url} is not ready:\n{log.read_text()}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
