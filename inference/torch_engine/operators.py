"""What each ONNX operator is in torch, and in which precision it runs."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from inference.torch_engine import layers, tensors


class Precision(Enum):
    """Of the floating-point inputs of an operator. NARROW: the program's, for what costs time. FULL: float32, where
    half loses what counts: small variances, sums of exponentials, the order of scores. GIVEN: the widest of its inputs
    that are not weights."""

    NARROW = "narrow"
    FULL = "full"
    GIVEN = "given"


@dataclass(frozen=True)
class Operator:
    """`apply` takes the ONNX operator's inputs in their order and its attributes by name. Inputs at the places `host`
    are given as numbers or lists of numbers, None where left out; they never come from the device."""

    apply: Callable[..., Tensor | tuple[Tensor, ...]]
    precision: Precision = Precision.GIVEN
    host: frozenset[int] = frozenset()


def add(*terms: Tensor) -> Tensor:
    return functools.reduce(operator.add, terms)


def div(a: Tensor, b: Tensor) -> Tensor:
    """Between integers towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def mod(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def clip(x: Tensor, low: float | Sequence[float] | None = None, high: float | Sequence[float] | None = None) -> Tensor:
    """The limits are numbers, or hold one."""
    limits = [limit[0] if isinstance(limit, Sequence) else limit for limit in (low, high)]
    return x if limits == [None, None] else x.clamp(*limits)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    return (x * alpha + beta).clamp(0, 1)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    return torch.nn.functional.leaky_relu(x, alpha)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def same(x: Tensor, *_: object, **__: object) -> Tensor:
    return x


_NARROW, _FULL = Precision.NARROW, Precision.FULL


def _op(apply: Callable[..., Any], *host: int, precision: Precision = Precision.GIVEN) -> Operator:
    return Operator(apply, precision, frozenset(host))


OPERATORS: Mapping[str, Operator] = {
    "Add": _op(add),
    "ArgMax": _op(tensors.arg_max, precision=_FULL),
    "AveragePool": _op(layers.average_pool),
    "BatchNormalization": _op(layers.batch_normalization, precision=_FULL),
    "Cast": _op(tensors.cast),
    "Clip": _op(clip, 1, 2),
    "Concat": _op(tensors.concat),
    "ConstantOfShape": _op(tensors.constant_of_shape, 0),
    "Conv": _op(layers.conv, precision=_NARROW),
    "ConvTranspose": _op(layers.conv_transpose, precision=_NARROW),
    "Div": _op(div),
    "Dropout": _op(same),
    "Equal": _op(torch.eq),
    "Erf": _op(torch.erf),
    "Exp": _op(torch.exp, precision=_FULL),
    "Expand": _op(tensors.expand, 1),
    "Flatten": _op(tensors.flatten),
    "Gather": _op(tensors.gather),
    "GatherND": _op(tensors.gather_nd),
    "Gemm": _op(layers.gemm, precision=_NARROW),
    "GlobalAveragePool": _op(layers.global_average_pool),
    "HardSigmoid": _op(hard_sigmoid),
    "Identity": _op(same),
    "LeakyRelu": _op(leaky_relu),
    "MatMul": _op(torch.matmul, precision=_NARROW),
    "MaxPool": _op(layers.max_pool),
    "Mod": _op(mod),
    "Mul": _op(operator.mul),
    "PRelu": _op(prelu),
    "Pad": _op(layers.pad, 1, 2, 3),
    "Pow": _op(torch.pow, precision=_FULL),
    "Range": _op(tensors.range_, 0, 1, 2),
    "ReduceMean": _op(tensors.reduce_mean, 1),
    "Relu": _op(torch.relu),
    "Reshape": _op(tensors.reshape, 1),
    "Resize": _op(layers.resize, 1, 2, 3),
    "Shape": _op(tensors.shape),
    "Sigmoid": _op(torch.sigmoid),
    "Slice": _op(tensors.slice_, 1, 2, 3, 4),
    "Softmax": _op(tensors.softmax, precision=_FULL),
    "Split": _op(tensors.split, 1),
    "Sqrt": _op(torch.sqrt, precision=_FULL),
    "Squeeze": _op(tensors.squeeze, 1),
    "Sub": _op(operator.sub),
    "Sum": _op(add),
    "TopK": _op(tensors.top_k, 1, precision=_FULL),
    "Transpose": _op(tensors.transpose),
    "Unsqueeze": _op(tensors.unsqueeze, 1),
}

BEFORE: Mapping[str, tuple[int, Operator]] = {"Softmax": (13, _op(tensors.flat_softmax, precision=_FULL))}
"""Operators that were something else before a version."""
