"""The whole stack as `openrek serve` starts it, and clients that were given only its endpoint and credentials."""

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from PIL import Image, ImageOps

START_SECONDS, STOP_SECONDS = 90.0, 30.0


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


@pytest.fixture(scope="session")
def stack(models_dir: Path) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="rek") as folder, socket.create_server(("127.0.0.1", 0)) as free:
        home, port = Path(folder) / "home", free.getsockname()[1]
        free.close()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENREK_"))},
            "OPENREK_MODELS_DIR": str(models_dir),
        }
        log = Path(folder) / "serve.log"
        command = [sys.executable, "-m", "openrek", "serve", "--home", str(home), "--port", str(port)]
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, log)
            yield Stack(f"http://127.0.0.1:{port}", "eu-central-1", home, environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.fixture(scope="session")
def client(stack: Stack) -> Any:
    """A boto3 client; nothing of it knows OpenRek but the endpoint and the credentials."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(stack.home / "credentials"))
        session = boto3.Session(region_name=stack.region)
        # a failed assertion should not wait for retries
        config = Config(retries={"total_max_attempts": 1})
        made = session.client("rekognition", endpoint_url=stack.endpoint, config=config)
        made.list_collections()
    return made


@pytest.fixture
def collection(client: Any) -> Iterator[str]:
    """An empty collection for one test."""
    name = f"test-{uuid4()}"
    client.create_collection(CollectionId=name)
    yield name
    client.delete_collection(CollectionId=name)


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
