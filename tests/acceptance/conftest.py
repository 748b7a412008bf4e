"""The whole stack as `openrek serve` starts it, and clients that were given only its endpoint and credentials."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from films import Films
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scenes import film, portrait, scenes
from scenes import sign as drawn_sign

from benchmarks.harness.runner import MET, MISSED

START_SECONDS, STOP_SECONDS = 90.0, 30.0
THROTTLE_SECONDS = 30.0

# A request whose body never comes. The server says that it may come once it has a place for the request.
ENDLESS_REQUEST = (
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n"
    b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
)


@dataclass(frozen=True)
class Stack:
    endpoint: str
    region: str
    home: Path
    environment: dict[str, str]

    def openrek(self, *arguments: str) -> str:
        """Runs an `openrek` command on this stack's home and returns what it printed."""
        command = [sys.executable, "-m", "openrek", *arguments, "--home", str(self.home)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def api_log(self) -> str:
        """What all API processes have logged."""
        return "".join(path.read_text() for path in (self.home / "logs").glob("api*.log"))

    def environment_of_clients(self) -> dict[str, str]:
        """The environment of a program that was told the endpoint, the region and the credentials, and nothing else."""
        return {
            **{name: value for name, value in self.environment.items() if not name.startswith("OPENREK_")},
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / "credentials"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # without it the JavaScript SDK v2 reads no credentials file but the one in the home directory
            "AWS_SDK_LOAD_CONFIG": "1",
            # read by different SDKs
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_REKOGNITION": self.endpoint,
        }


@dataclass(frozen=True)
class SmallServer:
    """One more API process of a stack, which takes one request at a time and throttles the others."""

    endpoint: str
    throttled: threading.Event

    @contextmanager
    def full(self) -> Iterator[socket.socket]:
        """Holds the one place for as long as the socket is open."""
        self.throttled.clear()
        with self._taken_place() as held:
            yield held

    @contextmanager
    def full_until_it_throttles(self) -> Iterator[None]:
        """Holds the one place until another request has been throttled; fails when none was."""
        with self.full() as held:
            giving_way = threading.Thread(target=lambda: self.throttled.wait(THROTTLE_SECONDS) and held.close())
            giving_way.start()
            yield
            assert self.throttled.is_set(), "nothing was throttled"
            giving_way.join()

    def _taken_place(self) -> socket.socket:
        host, port = self.endpoint.removeprefix("http://").split(":")
        # the place may still be held by the test before
        for _ in range(100):
            held = socket.create_connection((host, int(port)), timeout=THROTTLE_SECONDS)
            held.sendall(ENDLESS_REQUEST)
            if held.recv(4096).startswith(b"HTTP/1.1 100 "):
                return held
            held.close()
            time.sleep(0.02)
        pytest.fail("the one place is never free")


@pytest.fixture(scope="session")
def stack(models_dir: Path, s3_server: str) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder:
        home, port = Path(folder) / "home", _free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENREK_"))},
            "OPENREK_MODELS_DIR": str(models_dir),
        }
        log = Path(folder) / "serve.log"
        command = [sys.executable, "-m", "openrek", "serve", "--home", str(home), "--port", str(port)]
        with log.open("wb") as out:
            behind = {
                "AWS_ACCESS_KEY_ID": "local",
                "AWS_SECRET_ACCESS_KEY": "local",
                "OPENREK_S3_ENDPOINT_URL": s3_server,
            }
            process = subprocess.Popen(command, env=environment | behind, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, log.read_text)
            yield Stack(f"http://127.0.0.1:{port}", "eu-central-1", home, environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


@pytest.fixture(scope="session")
def small_server(stack: Stack) -> Iterator[SmallServer]:
    throttled = threading.Event()
    with _one_more_api(stack, throttled, OPENREK_API_QUEUE_LIMIT="1") as endpoint:
        yield SmallServer(endpoint, throttled)


@pytest.fixture
def one_more_api(stack: Stack) -> Callable[..., AbstractContextManager[Any]]:
    """Starts an API process of the stack with environment variables of its own; gives a client of it."""

    @contextmanager
    def start(**variables: str) -> Iterator[Any]:
        with _one_more_api(stack, threading.Event(), **variables) as endpoint:
            yield _client_of(stack, endpoint)

    return start


@contextmanager
def _one_more_api(stack: Stack, throttled: threading.Event, **variables: str) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "openrek", "api", "--home", str(stack.home), "--port", str(port)]
    process = subprocess.Popen(command, env=stack.environment | variables, stderr=subprocess.PIPE)
    endpoint, lines = f"http://127.0.0.1:{port}", list[str]()
    reader = threading.Thread(target=_follow, args=(process, lines, throttled))
    reader.start()
    try:
        _wait_until_ready(f"{endpoint}/readyz", process, lambda: "".join(lines))
        yield endpoint
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
        reader.join()


def _follow(process: "subprocess.Popen[bytes]", lines: list[str], throttled: threading.Event) -> None:
    """Collects what a process logs, and notes when it throttles a request."""
    assert process.stderr
    for line in process.stderr:
        lines.append(line.decode())
        if b"error=ThrottlingException" in line:
            throttled.set()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Callable[[], str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(log())


@pytest.fixture(scope="session")
def client(stack: Stack) -> Any:
    """A boto3 client; nothing of it knows OpenRek but the endpoint and the credentials."""
    return _client_of(stack, stack.endpoint)


def _client_of(stack: Stack, endpoint: str) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(stack.home / "credentials"))
        session = boto3.Session(region_name=stack.region)
        # a failed assertion should not wait for retries
        config = Config(retries={"total_max_attempts": 1})
        made = session.client("rekognition", endpoint_url=endpoint, config=config)
        made.list_collections()
    return made


@pytest.fixture
def client_in(stack: Stack) -> Callable[[str], Any]:
    """Makes a boto3 client of another region."""
    return lambda region: _client_of(replace(stack, region=region), stack.endpoint)


@pytest.fixture
def worker_held(stack: Stack) -> Callable[[], AbstractContextManager[None]]:
    """The worker does nothing inside the block that this gives."""

    @contextmanager
    def held() -> Iterator[None]:
        worker = int((stack.home / "run" / "worker.pid").read_text().split()[0])
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    return held


@pytest.fixture
def bench(stack: Stack, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs a kind of `openrek bench` with the text of a definition; gives the exit status and the stored run."""

    def run(kind: str, definition: str, *options: str) -> tuple[int, dict[str, Any]]:
        (tmp_path / "tiny.toml").write_text(definition)
        command = [sys.executable, "-m", "openrek", "bench", kind, "--definition", str(tmp_path / "tiny.toml")]
        command += ["--fresh", "--json", "--results", str(tmp_path), "--home", str(tmp_path / "home"), *options]
        done = subprocess.run(command, env=stack.environment, capture_output=True, text=True, timeout=300)
        assert done.returncode in (MET, MISSED), done.stderr
        printed, stored = json.loads(done.stdout), json.loads((tmp_path / "tiny.json").read_text())
        assert printed["rows"] == stored["rows"]
        return done.returncode, stored

    return run


@pytest.fixture
def here(stack: Stack) -> list[str]:
    """The options that make a command of `openrek bench` measure the stack, as `here`."""
    place = ["--endpoint", f"here={stack.endpoint}", "--region", stack.region]
    return [*place, "--credentials", str(stack.home / "credentials")]


@pytest.fixture
def collection(client: Any) -> Iterator[str]:
    """An empty collection for one test."""
    name = f"test-{uuid4()}"
    client.create_collection(CollectionId=name)
    yield name
    client.delete_collection(CollectionId=name)


@pytest.fixture(scope="session")
def films(stack: Stack, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Films:
    """An empty bucket for films."""
    bucket, folder = f"films-{uuid4()}", tmp_path_factory.mktemp("films")
    stack.openrek("buckets", "add", bucket, str(folder), "--region", stack.region)
    return Films(client, bucket, folder)


@pytest.fixture(scope="session")
def programme(films: Films, collins: bytes, hopper: bytes) -> str:
    """A film of three seconds, ten frames each: Collins, a sign without anybody, Hopper."""
    pictures = scenes((portrait(collins), 10), (drawn_sign("NORTH GATE", "Closed"), 10), (portrait(hopper), 10))
    films.add("programme.mp4", film(pictures))
    return "programme.mp4"


@pytest.fixture(scope="session")
def group(collins: bytes, hopper: bytes) -> bytes:
    """One picture with both people, Hopper's face the larger."""
    pictures = [Image.open(io.BytesIO(collins)).resize((360, 360)), Image.open(io.BytesIO(hopper))]
    canvas = Image.new("RGB", (360 + 512, 600))
    canvas.paste(pictures[0], (0, 0))
    canvas.paste(pictures[1], (360, 0))
    return jpeg(canvas)


@pytest.fixture(scope="session")
def crowd(collins: bytes) -> bytes:
    """One picture with 121 faces, larger ones further down."""
    face = ImageOps.fit(Image.open(io.BytesIO(collins)).crop((140, 20, 310, 220)), (170, 200))
    canvas = Image.new("RGB", (11 * 170, 11 * 200), "grey")
    for row in range(11):
        for column in range(11):
            scale = 0.6 + 0.4 * (row * 11 + column) / 120
            copy = face.resize((round(170 * scale), round(200 * scale)))
            canvas.paste(copy, (column * 170, row * 200))
    return jpeg(canvas)


@pytest.fixture(scope="session")
def sign() -> bytes:
    """One picture with three lines of text: two in one row with much room between, and one below."""
    canvas = Image.new("RGB", (800, 400), "white")
    draw = ImageDraw.Draw(canvas)
    for place, text, height in (
        ((40, 60), "NORTH GATE", 44),
        ((520, 66), "Closed", 44),
        ((60, 250), "Mind the step", 60),
    ):
        draw.text(place, text, "black", ImageFont.load_default(height))
    return jpeg(canvas)


@pytest.fixture(scope="session")
def blank() -> bytes:
    """A picture without any face."""
    return jpeg(Image.linear_gradient("L").resize((300, 300)))


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    encoded = io.BytesIO()
    picture.convert("RGB").save(encoded, "JPEG", quality=92, **options)
    return encoded.getvalue()


@pytest.fixture(scope="session")
def as_jpeg() -> Callable[..., bytes]:
    return jpeg
