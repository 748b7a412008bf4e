"""Weights too small to be normal numbers, which processors multiply by many times as slowly, as zeros.

Training leaves them where weights decay. The smallest normal number of a float32 is 1.2e-38: beside any other weight of
a sum they change nothing that a float32 could hold.
"""

import numpy as np
import onnx
from onnx import numpy_helper

SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def flushed(model: bytes) -> bytes:
    """The ONNX model with each denormal number among its float32 weights as zero."""
    loaded = onnx.load_from_string(model)
    changed = False
    for tensor in loaded.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        weights = numpy_helper.to_array(tensor)
        denormal = (weights != 0) & (np.abs(weights) < SMALLEST_NORMAL)
        if denormal.any():
            tensor.CopyFrom(numpy_helper.from_array(np.where(denormal, np.float32(0), weights), tensor.name))
            changed = True
    return bytes(loaded.SerializeToString()) if changed else model
