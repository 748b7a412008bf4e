import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.packs import catalogue
from openrek import cli
from openrek.settings import markdown


def _commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield (*words, name)
                yield from _commands(child, (*words, name))


COMMANDS = sorted(_commands(cli.parser()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_that_parses(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*words, "--help"])
    assert stopped.value.code == 0
    example = capsys.readouterr().out.rpartition("Example: openrek ")[2].split()
    assert example[: len(words)] == list(words)
    cli.parser().parse_args(example)


def test_the_commands_of_the_manual_are_there() -> None:
    assert {words[0] for words in COMMANDS} >= {
        *("serve", "models", "keys", "buckets", "celebrities", "migrate", "prepare", "settings", "demo"),
        *("api", "inference", "vectorindex", "worker"),
    }


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["serve", "--port", "x"], ["buckets", "add"], ["models", "pull"]], ids=" ".join
)
def test_wrong_usage_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: openrek" in capsys.readouterr().err


def test_a_wrong_setting_is_explained(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENREK_API_PROCESSES", "many")
    assert cli.main(["settings"]) == 1
    assert "OPENREK_API_PROCESSES must be a whole number" in capsys.readouterr().err


def test_settings_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["settings"]) == 0
    assert capsys.readouterr().out == markdown()


def test_a_reader_that_has_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "openrek", "settings"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_unknown_pack_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "pull", "no-such-pack"]) == 1
    assert "no-such-pack" in capsys.readouterr().err


def test_a_key_is_limited_to_operations_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = cli.parser().parse_args(["keys", "create", "--operations", "DetectFaces,ListFaces"])
    assert chosen.operations == ["DetectFaces", "ListFaces"]
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["keys", "create", "--operations", "DetectFaces,detect_faces"])
    assert "no operation of the service: detect_faces" in capsys.readouterr().err


def test_the_list_of_models_shows_every_network_with_its_licence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["models", "list", "--home", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("base  ") for line in lines)
    for network in catalogue.load("base").networks:
        assert any(line.split()[0] == network.name and network.licence.spdx in line for line in lines)


@pytest.mark.parametrize("arguments", [[], ["--url", "http://c:1"]], ids=["none", "another"])
def test_one_of_several_vector_index_servers_must_be_chosen(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENREK_VECTORINDEX_URL", "http://a:1,http://b:1")
    assert cli.main(["vectorindex", *arguments]) == 1
    assert "--url" in capsys.readouterr().err
