import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference.packs import catalogue, checks, errors, progress, store
from inference.packs.importers import IMPORTERS
from inference.packs.pull import pull


def doubling_model() -> bytes:
    """y = x + x, of any batch."""
    value = functools.partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=["batch", 3])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [value("x")], [value("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


MODEL = doubling_model()
DIGEST = hashlib.sha256(MODEL).hexdigest()

SOURCE = """
[[source]]
name = "{name}"
{origin}
[[source.files]]
name = "model.onnx"
{member}
sha256 = "{digest}"

[[network]]
name = "{name}_doubler"
task = "doubles"
importer = "onnx"
source = "{name}"
files = ["model.onnx"]
licence = {{ spdx = "MIT", stated = "here", carrier = "MIT" }}
input = {{ name = "x", shape = ["batch", 3], layout = "NCHW", colour = "RGB", range = [0, 1] }}
outputs = [{{ name = "y", meaning = "twice x" }}]
check = {{ against = "{against}", shape = [1, 3], tolerance = 1e-4 }}
"""


def pack_of(folder: Path, *sources: dict[str, str], head: str = "") -> catalogue.Pack:
    text = f'name = "tiny"\ndescription = ""\nface_model_version = "7.0"\n{head}\n'
    for source in sources:
        text += SOURCE.format_map({"member": "", "digest": DIGEST, "against": "runs", "name": "one"} | source)
    return catalogue.parse(text, folder)


def file_source(**changes: str) -> dict[str, str]:
    return {"origin": 'kind = "file"\npath = "model.onnx"'} | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the sources are: the model and a zip archive with it."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(MODEL)
    with ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("deep/model.onnx", MODEL)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_a_pull_installs_and_a_second_one_has_nothing_to_do(folder: Path, models: Path) -> None:
    pack = pack_of(folder, file_source())
    assert store.verify(models, pack) == ["one_doubler: not installed"]
    assert store.installed(models) == []
    with pytest.raises(errors.ModelMissing, match="run `openrek models pull tiny`"):
        store.network_path(models, "tiny", "one_doubler")

    assert pull(models, pack) == ["one_doubler"]
    assert store.verify(models, pack) == []
    assert store.network_path(models, "tiny", "one_doubler").read_bytes() == MODEL
    assert store.installed(models) == [store.Installed("tiny", "7.0", ("one_doubler",), len(MODEL))]
    entry = store.read_manifest(models, "tiny")["networks"]["one_doubler"]
    assert (entry["sha256"], entry["source_files"], entry["licence"]) == (DIGEST, {"model.onnx": DIGEST}, "MIT")

    (folder / "model.onnx").unlink()
    assert pull(models, pack) == []


def test_an_archive_member_is_taken(folder: Path, models: Path) -> None:
    source = file_source(origin='kind = "file"\npath = "archive.zip"', member='member = "deep/model.onnx"')
    assert pull(models, pack_of(folder, source)) == ["one_doubler"]


def test_a_missing_archive_member_is_named(folder: Path, models: Path) -> None:
    source = file_source(origin='kind = "file"\npath = "archive.zip"', member='member = "model.onnx"')
    with pytest.raises(errors.SourceUnavailable, match=r"'one'.*model\.onnx"):
        pull(models, pack_of(folder, source))


def test_another_file_is_refused_and_nothing_installed(folder: Path, models: Path) -> None:
    (folder / "model.onnx").write_bytes(MODEL + b"x")
    other = file_source(name="two", origin='kind = "file"\npath = "archive.zip"', member='member = "deep/model.onnx"')
    pack = pack_of(folder, other, file_source())
    with pytest.raises(errors.DigestMismatch, match=f"(?s)'model.onnx' of the source 'one'.*expected {DIGEST}"):
        pull(models, pack)
    assert store.installed(models) == []
    assert list(models.rglob("*.onnx")) == [models / "downloads" / "two" / "model.onnx"]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"x"), Path.unlink], ids=["changed", "removed"])
def test_a_damaged_network_is_found_and_made_again(
    folder: Path, models: Path, damage: Callable[[Path], object]
) -> None:
    pack = pack_of(folder, file_source(), file_source(name="two"))
    pull(models, pack)
    damage(models / "tiny" / "two_doubler.onnx")
    (problem,) = store.verify(models, pack)
    assert problem.startswith("two_doubler: ")
    assert pull(models, pack) == ["two_doubler"]
    assert store.verify(models, pack) == []


def test_a_newer_importer_makes_networks_again(folder: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = pack_of(folder, file_source())
    pull(models, pack)
    monkeypatch.setattr(store, "VERSION", store.VERSION + 1)
    assert store.verify(models, pack) == ["one_doubler: made from an older catalogue or by an older importer"]
    assert pull(models, pack) == ["one_doubler"]


def test_a_killed_pull_goes_on_where_it_was(folder: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second import dies as a killed process does; leftovers of a killed fetch and write lie about."""
    pack = pack_of(folder, file_source(), file_source(name="two"))
    done: list[str] = []

    def dying(network: catalogue.Network, files: tuple[Path, ...]) -> bytes:
        if done:
            raise KeyboardInterrupt
        done.append(network.name)
        return files[0].read_bytes()

    with monkeypatch.context() as patch:
        patch.setitem(IMPORTERS, "onnx", dying)
        with pytest.raises(KeyboardInterrupt):
            pull(models, pack)
    (models / "downloads" / ".fetch-dead").mkdir()
    (models / "tiny" / ".two_doubler.onnx.partial").write_bytes(b"half")
    assert [*store.installed(models)[0].networks] == done == ["one_doubler"]

    (folder / "model.onnx").unlink()
    assert pull(models, pack) == ["two_doubler"]
    assert store.verify(models, pack) == []
    assert not (models / "downloads" / ".fetch-dead").exists()


AGREEMENT = '[accept_licence]\nname = "tiny-licence"\ntext = "You may look, but not touch."'


def test_a_licence_has_to_be_accepted_by_name(folder: Path, models: Path) -> None:
    pack = pack_of(folder, file_source(), head=AGREEMENT)
    for accepted in ((), ("other-licence",)):
        with pytest.raises(errors.LicenceNotAccepted) as caught:
            pull(models, pack, accept_licences=accepted)
        assert "You may look, but not touch." in str(caught.value)
        assert "--accept-licence tiny-licence" in str(caught.value)
    assert not models.exists()
    assert pull(models, pack, accept_licences=("tiny-licence",)) == ["one_doubler"]
    assert store.read_manifest(models, "tiny")["accepted_licence"] == "tiny-licence"


def reference(**changes: Any) -> dict[str, Any]:
    (network,) = pack_of(Path(), file_source()).networks
    twice = 2 * checks.pattern((1, 3), 0, 1)
    return {network.name: {"y": checks.summary(twice) | changes}}


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (reference(samples=[[1, 0.9]]), "output y differs by"),
        (reference(mean=9.0), "output y differs by"),
        (reference(shape=[3]), "output y differs by inf"),
        ({}, "KeyError"),
    ],
    ids=["samples", "mean", "shape", "missing"],
)
def test_a_failed_check_refuses_the_network(folder: Path, models: Path, stored: Any, reason: str) -> None:
    (folder / "tiny.reference.json").write_text(json.dumps(stored))
    with pytest.raises(errors.CheckFailed, match=f"'one_doubler' was not installed.*{reason}"):
        pull(models, pack_of(folder, file_source(against="reference")))
    assert store.installed(models) == []


@pytest.mark.parametrize("against", ["reference", "original"])
def test_a_passed_check_is_recorded(folder: Path, models: Path, against: str) -> None:
    (folder / "tiny.reference.json").write_text(json.dumps(reference()))
    pull(models, pack_of(folder, file_source(against=against)))
    record = store.read_manifest(models, "tiny")["networks"]["one_doubler"]["check"]
    assert record["against"] == against
    assert record["largest_difference"] < record["tolerance"] == 1e-4


def test_an_unreadable_model_is_named(folder: Path, models: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    with pytest.raises(errors.UnreadableModel, match=r"model\.onnx cannot be imported"):
        pull(models, pack_of(folder, file_source(digest=digest)))


def test_the_check_pattern_spans_its_range() -> None:
    values = checks.pattern((1, 64, 64, 3), -1, 1)
    assert values.min() >= -1 and values.max() <= 1
    assert np.ptp(values) > 1.9 and 0.2 < values.std() < 0.6
    assert (values.ravel()[:3] * 127.5 + 127.5).round(6).tolist() == [128.0, 207.0, 158.0]


def test_progress_counts_to_the_total(folder: Path, models: Path) -> None:
    seen: list[progress.Event] = []
    pull(models, pack_of(folder, file_source(), file_source(name="two")), progress=seen.append)
    finished = [event.done for event in seen if event.stage == "finish"]
    assert finished == [1, 2, 3, 4]
    assert {event.total for event in seen} == {4}


def test_progress_is_plain_lines_without_a_terminal(
    folder: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.terminal("tiny") as show:
        pull(models, pack_of(folder, file_source()), progress=show)
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("[1/2] fetched file model.onnx")
    assert lines[-1].startswith("[2/2] one_doubler (0.0 MB, MIT)")
    assert all("\r" not in line for line in lines)


@dataclass
class Server:
    """A web server for one file that breaks off after so many bytes, as often as `breaks` says."""

    data: bytes
    breaks: int = 0
    after: int = 30
    ranges: bool = True
    status: int = 0
    requests: list[str | None] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.requests.append(asked)
        if self.status:
            handler.send_error(self.status)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start > len(self.data):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(self.data) - start))
        handler.end_headers()
        end = None
        if self.breaks:
            self.breaks -= 1
            end = start + self.after
        handler.wfile.write(self.data[start:end])


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Server], dict[str, str]]]:
    """Serves and gives back the source that downloads from there; nobody waits between attempts."""
    running: list[ThreadingHTTPServer] = []
    monkeypatch.setattr("inference.packs.https.time.sleep", lambda seconds: None)

    def start(server: Server) -> dict[str, str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return {"origin": f'kind = "https"\nurl = "http://127.0.0.1:{running[-1].server_port}/model"'}

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


Serve = Callable[[Server], dict[str, str]]


def test_a_broken_download_continues_by_range(folder: Path, models: Path, serve: Serve) -> None:
    server = Server(MODEL, breaks=2)
    assert pull(models, pack_of(folder, serve(server))) == ["one_doubler"]
    assert server.requests == [None, "bytes=30-", "bytes=60-"]
    assert [path.name for path in (models / "downloads" / "one").iterdir()] == ["model.onnx"]


def test_a_later_pull_continues_the_download(folder: Path, models: Path, serve: Serve) -> None:
    server = Server(MODEL, breaks=4, after=20)
    pack = pack_of(folder, serve(server))
    with pytest.raises(errors.SourceUnavailable, match="4 attempts"):
        pull(models, pack)
    assert pull(models, pack) == ["one_doubler"]
    assert server.requests[-1] == "bytes=80-"


def test_a_server_without_ranges_sends_all_again(folder: Path, models: Path, serve: Serve) -> None:
    server = Server(MODEL, breaks=1, ranges=False)
    assert pull(models, pack_of(folder, serve(server))) == ["one_doubler"]


def test_an_archive_is_downloaded_whole(folder: Path, models: Path, serve: Serve) -> None:
    server = Server((folder / "archive.zip").read_bytes(), breaks=1)
    source = serve(server) | {"member": 'member = "deep/model.onnx"'}
    assert pull(models, pack_of(folder, source)) == ["one_doubler"]


def test_a_wrong_download_is_not_kept(folder: Path, models: Path, serve: Serve) -> None:
    server = Server(b"no model" * 9)
    pack = pack_of(folder, serve(server))
    with pytest.raises(errors.DigestMismatch):
        pull(models, pack)
    assert list((models / "downloads" / "one").iterdir()) == []
    server.data = MODEL
    assert pull(models, pack) == ["one_doubler"]


def test_a_leftover_longer_than_the_file_is_thrown_away(folder: Path, models: Path, serve: Serve) -> None:
    home = models / "downloads" / "one"
    home.mkdir(parents=True)
    (home / ".download.partial").write_bytes(b"x" * (len(MODEL) + 9))
    server = Server(MODEL)
    assert pull(models, pack_of(folder, serve(server))) == ["one_doubler"]
    assert len(server.requests) == 2


def test_a_refusal_is_not_repeated(folder: Path, models: Path, serve: Serve) -> None:
    server = Server(MODEL, status=404)
    with pytest.raises(errors.SourceUnavailable, match="404"):
        pull(models, pack_of(folder, serve(server)))
    assert len(server.requests) == 1


def test_a_failing_npm_tells_why(folder: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm ERR! no such package' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    source = {"origin": 'kind = "npm"\npackage = "thing"\nversion = "1.0.0"', "member": 'member = "package/m.onnx"'}
    with pytest.raises(errors.SourceUnavailable, match="npm ERR! no such package"):
        pull(models, pack_of(folder, source))
