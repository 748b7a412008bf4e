import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from inference.packs import catalogue
from inference.packs.errors import UnknownPack
from inference.packs.importers import IMPORTERS

FOLDER = Path(catalogue.__file__).parent


@pytest.fixture(params=catalogue.names())
def pack(request: pytest.FixtureRequest) -> catalogue.Pack:
    return catalogue.load(request.param)


def test_every_network_can_be_imported(pack: catalogue.Pack) -> None:
    assert {network.importer for network in pack.networks} <= IMPORTERS.keys()


def test_every_network_states_its_licence(pack: catalogue.Pack) -> None:
    for network in pack.networks:
        assert network.licence.spdx and network.licence.stated and network.licence.carrier


def test_every_file_is_pinned(pack: catalogue.Pack) -> None:
    digests = [file.sha256 for source in pack.sources for file in source.files]
    assert all(len(bytes.fromhex(digest)) == 32 for digest in digests)
    assert len(set(digests)) == len(digests)


def test_no_file_is_fetched_for_nothing(pack: catalogue.Pack) -> None:
    used = {(network.source, file) for network in pack.networks for file in network.files}
    assert used == {(source.name, file.name) for source in pack.sources for file in source.files}


def test_reference_values_exist_for_every_output(pack: catalogue.Pack) -> None:
    path = FOLDER / f"{pack.name}.reference.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    expected = {
        network.name: {output.name for output in network.outputs}
        for network in pack.networks
        if network.check.against == "reference"
    }
    assert {name: set(outputs) for name, outputs in stored.items()} == expected


def test_base_needs_no_accepted_licence() -> None:
    assert catalogue.load("base").accept_licence is None


def test_a_pack_may_come_from_any_file(tmp_path: Path) -> None:
    text = 'name = "mine"\ndescription = ""\nface_model_version = "7.0"\n'
    (tmp_path / "mine.toml").write_text(text)
    pack = catalogue.load(str(tmp_path / "mine.toml"))
    assert (pack.name, pack.face_model_version, pack.folder, pack.networks) == ("mine", "7.0", tmp_path, ())


@pytest.mark.parametrize("name", ["bass", "/nowhere/base2.toml"])
def test_an_unknown_pack_is_refused(name: str) -> None:
    with pytest.raises(UnknownPack, match=r"known packs: .*base"):
        catalogue.load(name)


def test_a_reference_to_an_unknown_file_is_refused() -> None:
    text = (FOLDER / "base.toml").read_text(encoding="utf-8").replace('"facemesh.bin"', '"other.bin"')
    with pytest.raises(ValueError, match=r"face_mesh: source human has no files \['other.bin'\]"):
        catalogue.parse(text, FOLDER)


def test_an_unknown_kind_of_source_is_refused() -> None:
    text = (FOLDER / "base.toml").read_text(encoding="utf-8").replace('"npm"', '"gopher"')
    with pytest.raises(msgspec.ValidationError, match="gopher"):
        catalogue.parse(text, FOLDER)


def test_calibration_tables_are_handed_on() -> None:
    text = (FOLDER / "base.toml").read_text(encoding="utf-8") + '\n[[calibration]]\nnetwork = "face_embedder"\n'
    assert {"network": "face_embedder"} in catalogue.parse(text, FOLDER).calibration
    assert tomllib.loads(text)["name"] == "base"


def test_the_documentation_lists_every_network_and_importer() -> None:
    text = (FOLDER.parent.parent / "docs" / "model-packs.md").read_text(encoding="utf-8")
    for name in [*(network.name for network in catalogue.load("base").networks), *IMPORTERS]:
        assert f"`{name}`" in text
