"""Writes `<pack>.reference.json`: what independent implementations make of the check pattern.

    python -m benchmarks.pack_references.make base --models MODELS_DIR --node SCRATCH --torch PYTHON

MODELS_DIR holds the pack's downloads, SCRATCH is a folder after `npm install @tensorflow/tfjs@4.22.0`, PYTHON an
interpreter after `pip install torch==2.13.0 efficientnet-lite-pytorch==0.1.0`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from inference.packs import catalogue, checks, sources, store
from inference.packs.catalogue import Network, Pack

_HERE = Path(__file__).parent
_TENSORFLOW_JS = {"tfjs_graph", "tfjs_javascript", "keras_layers"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--node", type=Path, required=True)
    parser.add_argument("--torch", required=True)
    arguments = parser.parse_args()
    pack = catalogue.load(arguments.pack)
    networks = [network for network in pack.networks if network.check.against == "reference"]
    commands = {
        True: (["node", str(_HERE / "tensorflow_js.cjs")], arguments.node),
        False: ([arguments.torch, str(_HERE / "efficientnet.py")], arguments.node),
    }
    references: dict[str, Any] = {}
    for is_tfjs, (command, folder) in commands.items():
        chosen = [network for network in networks if (network.importer in _TENSORFLOW_JS) is is_tfjs]
        references |= _run(
            command, folder, {network.name: _entry(pack, network, arguments.models) for network in chosen}
        )
    summaries = {
        network.name: {
            output.name: checks.summary(np.array(result["values"]).reshape(result["shape"]))
            for output, result in zip(network.outputs, references[network.name], strict=True)
        }
        for network in networks
    }
    (pack.folder / f"{pack.name}.reference.json").write_text(_compact(summaries), encoding="utf-8")


def _entry(pack: Pack, network: Network, models: Path) -> dict[str, Any]:
    source = pack.source(network.source)
    paths = sources.fetch(source, models / store.DOWNLOADS, pack.folder, print)
    return {
        "files": [str(paths[name].resolve()) for name in network.files],
        "tensors": [output.tensor or output.name for output in network.outputs],
        "shape": network.check.shape,
        "range": network.input.range,
    }


def _run(command: list[str], folder: Path, specification: dict[str, Any]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(specification, file)
        file.flush()
        done = subprocess.run([*command, file.name], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def _compact(summaries: dict[str, Any]) -> str:
    """One line per output."""
    networks = [
        f'"{name}": {{\n' + ",\n".join(f'  "{key}": {json.dumps(value)}' for key, value in outputs.items()) + "\n}"
        for name, outputs in summaries.items()
    ]
    return "{\n" + ",\n".join(networks) + "\n}\n"


if __name__ == "__main__":
    main()
