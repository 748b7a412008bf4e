"""The whole of OpenRek on one machine: which processes, in which order, and what the person who starts it sees."""

import asyncio
import errno
import json
import os
import shlex
import signal
import socket
import sys
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from openrek import credentials, home, postgres, valkey
from openrek.errors import PartFailed, PortInUse
from openrek.settings import Settings, environment_of_children, postgres_sockets, sockets
from openrek.supervisor import Part, Supervisor

API, WORKER, SERVERS, STORES = 0, 1, 2, 3  # stages of stopping
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONGEST_BACKLOG = 1024
MOST_APIS = 4
Probe = Callable[[], Awaitable[bool]]

CONNECTIONS_BESIDE_THE_API = 16  # of a vector index server and a worker
CONNECTIONS_OF_AN_INDEX_SERVER = 4
CONNECTIONS_OF_A_WORKER = 8


def run(settings: Settings, demo: bool) -> int:
    """Start everything, serve until a stop signal, stop everything. Returns the exit code.

    Raises HomeUnusable, HomeInUse, PortInUse, PartFailed.
    """
    home.create(settings)
    with home.locked(settings.home), _bind(settings.host, settings.port) as listener:
        return asyncio.run(_serve(settings, listener, demo))


async def _serve(settings: Settings, listener: socket.socket, demo: bool) -> int:
    say = _clock()
    supervisor = Supervisor(home.logs(settings.home), home.pids(settings.home), environment_of_children(settings), say)
    serving = asyncio.create_task(_start_and_watch(settings, supervisor, listener, demo, say))
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN or number is not signal.SIGHUP:
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        say("stopping")
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        listener.close()
        await supervisor.stop(settings.stop_seconds)
    say("stopped")
    return 0


async def _start_and_watch(
    settings: Settings, supervisor: Supervisor, listener: socket.socket, demo: bool, say: Callable[[str], None]
) -> None:
    supervisor.stop_leftovers()
    home.remove_sockets(settings.home)
    async with asyncio.TaskGroup() as group:
        if settings.is_own("inference_url"):
            group.create_task(
                supervisor.run(
                    "models",
                    _openrek("models", "pull", settings.model_pack, *settings.more_face_packs),
                    to_terminal=True,
                )
            )
        group.create_task(_start_stores(settings, supervisor, say))
    async with asyncio.TaskGroup() as group:
        for part in _parts(settings, listener):
            group.create_task(supervisor.start(part))
    _print(_banner(settings))
    if demo:
        await _show_demo(settings, supervisor)
    await supervisor.watch()


async def _show_demo(settings: Settings, supervisor: Supervisor) -> None:
    output = home.demo_output(settings.home)
    try:
        await supervisor.run("demo", _openrek("demo", "--output", str(output)), to_terminal=True)
    except PartFailed as error:
        _print(str(error))
    _print("Still serving; Ctrl-C stops.")


async def _start_stores(settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    """The queue and the database, each unless it is given; then the tables and the first access key."""
    if settings.is_own("redis_url"):
        path = sockets(settings.home) / "valkey.sock"
        await supervisor.start(Part("valkey", tuple(valkey.command(path)), lambda: valkey.is_ready(path), STORES))
    if settings.is_own("database_url"):
        await _start_postgres(settings, supervisor, say)
    await supervisor.run("prepare", _openrek("prepare"))


async def _start_postgres(settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
    data = settings.home / "postgres"
    server = postgres.choose(data, postgres_sockets(settings.home))
    if not data.exists():
        say("creating the database")
    for notice in postgres.prepare(server):
        say(notice)
    clients = len(apis(settings)) * settings.database_connections + CONNECTIONS_BESIDE_THE_API
    clients += (settings.vectorindex_servers - 1) * CONNECTIONS_OF_AN_INDEX_SERVER
    clients += (settings.worker_processes - 1) * CONNECTIONS_OF_A_WORKER
    await supervisor.start(
        Part(
            "postgres",
            tuple(postgres.command(server, clients)),
            lambda: postgres.is_ready(server),
            STORES,
            stop_signal=signal.SIGINT,
            user=server.user,
        )
    )


def _parts(settings: Settings, listener: socket.socket) -> Iterator[Part]:
    if settings.is_own("inference_url"):
        yield Part("inference", _openrek("inference"), _answers(settings.inference_url), SERVERS)
    if settings.is_own("vectorindex_url"):
        for name, url in index_servers(settings).items():
            yield Part(name, _openrek("vectorindex", "--url", url), _answers(url), SERVERS)
    for name in workers(settings):
        yield Part(name, _openrek("worker", "--name", name), _is_ready_to_the_api(settings.endpoint, "worker"), WORKER)
    for name in apis(settings):
        command = _openrek("api", "--socket", str(listener.fileno()))
        yield Part(name, command, _answers(settings.endpoint), API, pass_fds=(listener.fileno(),))


def apis(settings: Settings) -> list[str]:
    """The names of the API processes. One uses at most one core; beyond a few the networks are the limit."""
    return _numbered("api", settings.api_processes or min(MOST_APIS, len(os.sched_getaffinity(0))))


def workers(settings: Settings) -> list[str]:
    """The names of the workers."""
    return _numbered("worker", settings.worker_processes)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def index_servers(settings: Settings) -> dict[str, str]:
    """The vector index servers: the names of their parts, and their addresses."""
    urls = settings.vectorindex_urls
    if len(urls) == 1:
        return {"vectorindex": urls[0]}
    return {f"vectorindex-{number}": url for number, url in enumerate(urls, 1)}


def _openrek(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "openrek", *arguments)


def _answers(url: str) -> Probe:
    """A probe: whether GET /readyz at a `http://host:port` or `unix:///path` address is answered with 200."""

    async def probe() -> bool:
        return (await _readyz(url)).startswith(b"HTTP/1.1 200 ")

    return probe


def _is_ready_to_the_api(api_url: str, part: str) -> Probe:
    """A probe: whether the API, asked for its own readiness, finds that part ready."""

    async def probe() -> bool:
        body = (await _readyz(api_url)).partition(b"\r\n\r\n")[2]
        return bool(body) and json.loads(body)["parts"][part] == "ready"

    return probe


async def _readyz(url: str) -> bytes:
    """The whole answer of GET /readyz. Raises OSError."""
    address = urllib.parse.urlsplit(url)
    if address.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(address.path)
    else:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


def _bind(host: str, port: int) -> socket.socket:
    """The API's socket. It is ours, so that clients wait instead of being refused while an API process restarts."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=LONGEST_BACKLOG)
    except OSError as error:
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise PortInUse(f"cannot listen on {host}:{port}: {reason}; choose another with --host and --port") from error


def _clock() -> Callable[[str], None]:
    start = time.monotonic()

    def say(text: str) -> None:
        _print(f"{time.monotonic() - start:6.1f} s  {text}")

    return say


def _print(text: str) -> None:
    """Serving goes on when nobody can be told: the output may be a file on a full disk, or a pipe that was closed."""
    with suppress(OSError):
        print(text, flush=True)


def _banner(settings: Settings) -> str:
    endpoint = settings.endpoint
    path = home.credentials(settings.home)
    with_key = f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(path))}"
    return f"""
OpenRek is ready.

  endpoint      {endpoint}
  region        {settings.region}
  access key    {credentials.access_key_id(path)}
  credentials   {path}
  logs          {home.logs(settings.home)}

Try it with the AWS command line:

  {with_key} aws rekognition list-collections \\
    --endpoint-url {endpoint} --region {settings.region}

or with boto3:

  {with_key} {shlex.quote(sys.executable)} -c "import boto3; \\
    print(boto3.client('rekognition', '{settings.region}', endpoint_url='{endpoint}').list_collections())"

Ctrl-C stops.
"""
