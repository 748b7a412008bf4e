"""Turns weight files of several formats into ONNX.

An importer takes a catalogue entry and its source files, in the catalogue's order, and returns the ONNX file.
"""

from collections.abc import Callable
from pathlib import Path

from inference.packs.catalogue import Network
from inference.packs.importers import activations, denormals, efficientnet_lite, keras_layers, onnx_graph
from inference.packs.importers.tensorflow_js import convert

VERSION = 3  # raised when an importer's output changes, so that installed networks are made anew

IMPORTERS: dict[str, Callable[[Network, tuple[Path, ...]], bytes]] = {
    "onnx": onnx_graph.copied,
    "onnx_dequantise": onnx_graph.dequantised,
    "tfjs_graph": convert.from_json,
    "tfjs_javascript": convert.from_javascript,
    "keras_layers": keras_layers.from_javascript,
    "efficientnet_lite2": efficientnet_lite.from_state_dict,
}


def imported(network: Network, files: tuple[Path, ...]) -> bytes:
    """The ONNX file of a network, made by its importer from its files."""
    return denormals.flushed(activations.rewritten(IMPORTERS[network.importer](network, files)))
