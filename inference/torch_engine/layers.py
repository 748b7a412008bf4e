"""ONNX operators that compute with weights or neighbourhoods, on tensors [N, C, H, W].

Inputs come in the order of the ONNX operator, its attributes under their ONNX names (onnx.ai/onnx/operators).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Numbers = Sequence[int]


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Numbers = (),
    strides: Numbers = (1, 1),
    pads: Numbers = (0, 0, 0, 0),
    dilations: Numbers = (1, 1),
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Tensor:
    if weight.shape == (group, 1, 1, 1) and set(strides) == {1} and not any(pads):
        # A factor for each channel, as normalisations are often written; torch would run a convolution for each.
        factors = weight.reshape(1, group, 1, 1)
        return x * factors if bias is None else torch.addcmul(bias.reshape(1, group, 1, 1), x, factors)
    begins, ends = _padding(x, weight.shape[2:], strides, dilations, pads, auto_pad)
    if begins != ends:
        x, begins = _padded(x, begins, ends, 0.0), [0, 0]
    return F.conv2d(x, weight, bias, list(strides), begins, list(dilations), group)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Numbers = (),
    strides: Numbers = (1, 1),
    pads: Numbers = (0, 0, 0, 0),
    output_padding: Numbers = (0, 0),
    dilations: Numbers = (1, 1),
    group: int = 1,
) -> Tensor:
    begins = _even(pads)
    return F.conv_transpose2d(x, weight, bias, list(strides), begins, list(output_padding), group, list(dilations))


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Numbers,
    strides: Numbers = (1, 1),
    pads: Numbers = (0, 0, 0, 0),
    dilations: Numbers = (1, 1),
    ceil_mode: int = 0,
    auto_pad: str = "NOTSET",
) -> Tensor:
    begins, ends = _padding(x, kernel_shape, strides, dilations, pads, auto_pad)
    if begins != ends:
        x, begins = _padded(x, begins, ends, -torch.inf), [0, 0]
    return F.max_pool2d(x, list(kernel_shape), list(strides), begins, list(dilations), bool(ceil_mode))


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Numbers,
    strides: Numbers = (1, 1),
    pads: Numbers = (0, 0, 0, 0),
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Tensor:
    begins = _even(pads)
    return F.avg_pool2d(x, list(kernel_shape), list(strides), begins, bool(ceil_mode), bool(count_include_pad))


def global_average_pool(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def batch_normalization(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
) -> Tensor:
    return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=epsilon)


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    a, b = a.T if transA else a, b.T if transB else b
    return alpha * (a @ b) if c is None else torch.addmm(c, a, b, beta=beta, alpha=alpha)


def pad(
    x: Tensor, pads: Numbers, value: float | None = None, axes: Numbers | None = None, *, mode: str = "constant"
) -> Tensor:
    places = range(x.dim()) if axes is None else [axis % x.dim() for axis in axes]
    begins, ends = [0] * x.dim(), [0] * x.dim()
    for axis, begin, end in zip(places, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        begins[axis], ends[axis] = begin, end
    around = [size for pair in zip(reversed(begins), reversed(ends), strict=True) for size in pair]
    if mode != "constant":
        raise ValueError(f"padding of the kind {mode}")
    return F.pad(x, around, value=value or 0.0)


def resize(
    x: Tensor,
    _region: object = None,
    scales: Sequence[float] | None = None,
    sizes: Numbers | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
) -> Tensor:
    """The nearest pixel at or before a place, or linear between pixels, in the last two dimensions.

    Raises ValueError for other ways.
    """
    target = list(sizes) if sizes else [int(old * scale) for old, scale in zip(x.shape, scales or (), strict=True)]
    if x.dim() != 4 or target[:2] != list(x.shape[:2]):
        raise ValueError(f"resizing {list(x.shape)} to {target}")
    way = (mode, coordinate_transformation_mode)
    if way == ("linear", "half_pixel"):
        return F.interpolate(x, target[2:], mode="bilinear", align_corners=False)
    if way == ("linear", "asymmetric") and not any(new % old for new, old in zip(target, x.shape, strict=True)):
        return _stretched(x, [new // old for new, old in zip(target[2:], x.shape[2:], strict=True)])
    if way == ("nearest", "asymmetric") and nearest_mode == "floor":
        return F.interpolate(x, target[2:], mode="nearest")
    raise ValueError(f"resizing by {mode}, {coordinate_transformation_mode}, {nearest_mode}")


def _stretched(x: Tensor, factors: Numbers) -> Tensor:
    """Linear, the first pixels lying on each other; behind the last ones they are repeated."""
    inner = [(size - 1) * factor + 1 for size, factor in zip(x.shape[2:], factors, strict=True)]
    between = F.interpolate(x, inner, mode="bilinear", align_corners=True)
    return F.pad(between, [0, factors[1] - 1, 0, factors[0] - 1], mode="replicate")


def _padding(
    x: Tensor, kernel: Numbers, strides: Numbers, dilations: Numbers, pads: Numbers, auto_pad: str
) -> tuple[list[int], list[int]]:
    """What lies before and behind height and width."""
    if auto_pad in ("NOTSET", "VALID"):
        return list(pads[:2]), list(pads[2:])
    totals = [
        max(0, (-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size)
        for size, width, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    smaller, larger = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (smaller, larger) if auto_pad == "SAME_UPPER" else (larger, smaller)


def _padded(x: Tensor, begins: Numbers, ends: Numbers, value: float) -> Tensor:
    return F.pad(x, [begins[1], ends[1], begins[0], ends[0]], value=value)


def _even(pads: Numbers) -> list[int]:
    if list(pads[:2]) != list(pads[2:]):
        raise ValueError(f"uneven padding {list(pads)}")
    return list(pads[:2])
