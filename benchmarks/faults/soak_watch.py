"""What a stack on this machine holds: memory, files, threads and sockets of its processes, rows and room on disk."""

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from benchmarks.own_stack import Stack

MEGABYTE = 1e6
SUPERVISOR = "serve"
TABLES = "SELECT relname FROM pg_stat_user_tables"
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
DATABASE_BYTES = "SELECT pg_database_size(current_database())"
Levels = dict[tuple[str, str, str], float]
"""(what kind of thing, its name, the resource) -> how much of it."""


class Watch:
    """Looks at one stack again and again. `restarts` counts how often a part was another process."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._database = psycopg.connect(stack.database_url, autocommit=True)
        self._seen = {part: stack.pid(part) for part in stack.parts()}
        self._restarts: Counter[str] = Counter()

    def close(self) -> None:
        self._database.close()

    def look(self) -> Levels:
        """What is there now; of each part with its children together. A part that is down just now is left out."""
        levels: Levels = {}
        for part in self._seen:
            pid = self._stack.pid(part)
            if pid is not None and pid != self._seen[part]:
                self._restarts[part] += 1
                self._seen[part] = pid
            with suppress(psutil.NoSuchProcess):
                family = _family(pid) if pid else []
                held = _held(family) | {"restarts": float(self._restarts[part])} if family else {}
                levels |= {("process", part, resource): value for resource, value in held.items()}
        levels |= {("process", SUPERVISOR, resource): value for resource, value in self._supervisor().items()}
        levels |= {("disk", name, "megabytes"): size / MEGABYTE for name, size in _disk(self._stack.home).items()}
        levels["database", "database", "connections"] = self._number(CONNECTIONS)
        levels["database", "database", "megabytes"] = self._number(DATABASE_BYTES) / MEGABYTE
        return levels

    def rows(self) -> dict[str, int]:
        """By table."""
        tables = [str(name) for (name,) in self._database.execute(TABLES)]
        count = sql.SQL("SELECT count(*) FROM {}")
        return {name: int(self._number(count.format(sql.Identifier(name)))) for name in sorted(tables)}

    def _number(self, query: "str | sql.Composed") -> float:
        row = self._database.execute(query).fetchone()
        assert row is not None
        return float(row[0])

    def _supervisor(self) -> Mapping[str, float]:
        """The process that keeps the others: the parent of each."""
        pid = next((pid for pid in self._seen.values() if pid is not None), None)
        try:
            parent = psutil.Process(pid).parent() if pid is not None else None
            return _held([parent]) if parent else {}
        except psutil.NoSuchProcess:
            return {}


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _held(family: list[psutil.Process]) -> dict[str, float]:
    """What some processes have together. `unique_mb` is memory that would come free if they ended."""
    held: Counter[str] = Counter()
    for process in family:
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            memory = process.memory_full_info()
            held["unique_mb"] += memory.uss / MEGABYTE
            held["resident_mb"] += memory.rss / MEGABYTE
            held["files"] += process.num_fds()
            held["threads"] += process.num_threads()
            held["sockets"] += len(process.net_connections("all"))
            held["processes"] += 1
    return dict(held)


def _disk(home: Path) -> Counter[str]:
    """Bytes on disk by folder of the home, PostgreSQL's write-ahead log apart from its data."""
    used: Counter[str] = Counter()
    for folder, _, files in os.walk(home):
        place = Path(folder).relative_to(home).parts
        name = "/".join(place[: 2 if "pg_wal" in place else 1]) or "home"
        used[name] += 0
        for file in files:
            with suppress(FileNotFoundError):
                used[name] += os.lstat(Path(folder) / file).st_blocks * 512
    return used
