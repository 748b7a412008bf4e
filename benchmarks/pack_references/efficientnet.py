"""Runs EfficientNet-Lite2 with PyTorch on the check pattern and prints every output in full.

Usage: python efficientnet.py SPECIFICATION.json; needs torch and efficientnet-lite-pytorch, nothing of OpenRek.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet


def pattern(shape: list[int], low: float, high: float) -> np.ndarray[Any, Any]:
    """The same numbers as inference.packs.checks.pattern."""
    index = np.arange(np.prod(shape), dtype=np.int64)
    noise = (index * 2654435761 % 2**32) >> 25
    wave = np.abs(index // 31 % 256 - 128)
    return (low + (high - low) * (noise + wave) / 255).reshape(shape).astype(np.float32)


def main() -> None:
    results = {}
    for name, network in json.loads(Path(sys.argv[1]).read_text()).items():
        model = EfficientNet.from_name("efficientnet-lite2")
        model.load_state_dict(torch.load(network["files"][0], map_location="cpu", weights_only=True))
        model.eval()
        with torch.no_grad():
            picture = torch.from_numpy(pattern(network["shape"], *network["range"]))
            features = model.extract_features(picture).mean((2, 3))
            outputs = [model._fc(features), features]
        results[name] = [{"shape": list(value.shape), "values": value.flatten().tolist()} for value in outputs]
    print(json.dumps(results))


main()
