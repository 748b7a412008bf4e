"""What all tests share: a mark by folder, and where the models and the pictures are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from inference.packs import catalogue, store

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "openrek" / "pictures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test by the folder it is in: unit, integration or acceptance."""
    for item in items:
        item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of the `base` pack that scripts/test pulls."""
    folder = Path(os.environ.get("OPENREK_MODELS_DIR", ROOT / ".cache" / "models"))
    problems = store.verify(folder, catalogue.load("base"))
    if problems:
        pytest.fail(f"no usable model pack in {folder}; scripts/test pulls it: {problems[0]}")
    return folder


@pytest.fixture(scope="session")
def collins() -> bytes:
    """A portrait, 512 x 512, with one face."""
    return (PICTURES / "eileen_collins.jpg").read_bytes()


@pytest.fixture(scope="session")
def hopper() -> bytes:
    """A portrait of somebody else, 512 x 600, with one face."""
    return (PICTURES / "grace_hopper.jpg").read_bytes()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a local S3 server that accepts any credentials."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
