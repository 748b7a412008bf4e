"""The benchmark for CUDA machines: that it runs, in miniature, and says where it cannot."""

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import cuda


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks.cuda", *arguments])
    return cuda.main()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_card_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 1
    assert "finds no CUDA device on this machine" in capsys.readouterr().err


def test_in_miniature_it_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch, models_dir: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENREK_MODELS_DIR", str(models_dir))
    monkeypatch.setattr(cuda, "SHAPES", {name: cuda.SHAPES[name] for name in ("iris", "emotion")})
    monkeypatch.setattr(cuda, "PIPELINES", {"faces": cuda.PIPELINES["faces"]})
    assert run(monkeypatch, "--device", "cpu", "--small", "--results", str(tmp_path)) == 0
    (path,) = tmp_path.glob("*.json")
    found = json.loads(path.read_text())
    assert path.name == "cpu_no_card.json" and found["small"] and found["machine"]["cores"]
    assert set(found["networks"]) == {"iris", "emotion"}
    assert all(one["per_second"] == max(one["by_batch"].values()) for one in found["networks"].values())
    faces = found["pipelines"]["faces"]
    assert faces["ratio"] == pytest.approx(faces["per_second"] / faces["networks_alone_per_second"])
    # A detection of each of four pictures and two faces embedded, at least.
    assert faces["items_per_picture"] >= 1.5
    assert found["decoding"]["server_per_second"] > 0
    assert found["decoding"]["device_per_second"] or "torchvision" in found["decoding"]["why_not"]
    assert [one["found_itself"] for one in found["search"]["by"]] == [1.0, 1.0]


def test_a_definition_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`openrek bench` itself is started, and refuses it."""
    (tmp_path / "protocol.toml").write_text("title = 7")
    monkeypatch.setattr(cuda, "FOLDER", tmp_path)
    asked = ("--device", "cpu", "--small", "--results", str(tmp_path), "--parts", "decoding", "--bench", "protocol")
    assert run(monkeypatch, *asked) == 1
    assert "not measured: protocol" in capsys.readouterr().err


def test_a_definition_runs_on_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With something in the place of `openrek bench` that tells how it was called."""
    called = []

    def fake(command: list[str], env: dict[str, str]) -> object:
        called.append((command, env, Path(command[command.index("--definition") + 1]).read_text()))
        return type("Done", (), {"returncode": 3})()

    monkeypatch.setattr(cuda.subprocess, "run", fake)
    monkeypatch.setattr(cuda, "FOLDER", tmp_path)
    (tmp_path / "images_faces.toml").write_text('title = "a"\ndevice = "cpu"\nrounds = 3\n')
    assert cuda._bench(cuda.Place("cuda", tmp_path, cuda.FULL), "images_faces", "cuda_card_images_faces", tmp_path)
    ((command, env, definition),) = called
    assert command[command.index("bench") + 1] == "images"
    assert command[-4:] == ["--name", "cuda_card_images_faces", "--results", str(tmp_path)]
    assert (env["OPENREK_INFERENCE_DEVICE"], env["OPENREK_VECTORINDEX_DEVICE"]) == ("torch-cuda", "cuda")
    assert definition == 'title = "a"\ndevice = "cuda"\nrounds = 3\n'
