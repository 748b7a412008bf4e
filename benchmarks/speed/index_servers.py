"""Vector index servers of one's own, as `openrek vectorindex` starts them, and a database for them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from openrek import postgres, processes
from storage import migrations
from vectorindex.client import IndexClient

MOST_CONNECTIONS = 60
START_SECONDS, STOP_SECONDS = 60.0, 30.0
PROBE_SECONDS = 0.02


class IndexServers:
    """Servers that share the collections of a database. Sockets, snapshots and logs lie in `folder`."""

    def __init__(self, folder: Path, database_url: str, count: int, **variables: str) -> None:
        self.urls = tuple(f"unix://{folder}/{number}.sock" for number in range(count))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "OPENREK_HOME": str(folder),
            "OPENREK_VECTORINDEX_URL": ",".join(self.urls),
            **variables,
        }

    def start(self, url: str) -> float:
        """Start the server of one address; return the seconds until it was ready."""
        start = time.monotonic()
        command = [sys.executable, "-P", "-m", "openrek", "vectorindex", "--url", url]
        with (self._folder / f"{self.urls.index(url)}.log").open("ab") as log:
            self.processes[url] = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        client = IndexClient(url)
        while not client.is_ready():
            if self.processes[url].poll() is not None or time.monotonic() - start > START_SECONDS:
                raise RuntimeError(f"the index server is not ready: {log.name}")
            time.sleep(PROBE_SECONDS)
        client.close()
        return time.monotonic() - start

    def kill(self, url: str) -> None:
        """End a server without warning."""
        self.processes[url].kill()
        self.processes.pop(url).wait()

    def stop(self) -> None:
        """Stop all that run."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(STOP_SECONDS)
        self.processes.clear()


@contextmanager
def running(folder: Path, database_url: str, count: int, **variables: str) -> Iterator[IndexServers]:
    """`count` servers that are ready, with `variables` in their environment."""
    servers = IndexServers(folder, database_url, count, **variables)
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(servers.start, servers.urls))
        yield servers
    finally:
        servers.stop()


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, int]]:
    """A migrated, empty PostgreSQL in a folder: its address and process id."""
    server = postgres.choose(folder / "postgres", folder / "sockets")
    postgres.prepare(server)
    command = postgres.command(server, MOST_CONNECTIONS)
    with (folder / "postgres.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **processes.identity(server.user))
    try:
        url = f"host={server.sockets} user=openrek dbname=openrek"
        deadline = time.monotonic() + START_SECONDS
        while not _takes_connections(server) and time.monotonic() < deadline:
            time.sleep(PROBE_SECONDS)
        migrations.apply(url)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def _takes_connections(server: postgres.Postgres) -> bool:
    try:
        return asyncio.run(postgres.is_ready(server))
    except OSError:
        return False
