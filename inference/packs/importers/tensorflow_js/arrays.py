"""Operators that move, select, join and reduce axes."""

import numpy as np

from inference.packs.importers.tensorflow_js.graph import Node
from inference.packs.importers.tensorflow_js.layers import constant
from inference.packs.importers.tensorflow_js.layout import Form, GraphBuilder, Tensor

_FIRST_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # where an axis of the LAST form is in the FIRST form


def reshape(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    target = [int(size) for size in constant(node, inputs[1])]
    return builder.reshaped(inputs[0], np.empty(inputs[0].shape, np.bool_).reshape(target).shape)


def expand_dims(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    axis = int(constant(node, inputs[1]))
    return builder.reshaped(inputs[0], np.expand_dims(np.empty(inputs[0].shape, np.bool_), axis).shape)


def squeeze(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    axes = tuple(node.attributes.get("squeeze_dims") or node.attributes.get("axis") or ())
    return builder.reshaped(inputs[0], np.squeeze(np.empty(inputs[0].shape, np.bool_), axes or None).shape)


def unpack(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """One tensor per place along an axis, that axis gone."""
    (tensor,) = inputs
    axis = node.attributes.get("axis", 0) % len(tensor.shape)
    shape = tensor.shape[:axis] + tensor.shape[axis + 1 :]
    count = tensor.shape[axis]
    if count == 1:
        return (builder.reshaped(tensor, shape),)
    whole, moved = builder.ordered(tensor, [axis])
    places = (builder.constant(number, np.int64) for number in range(count))
    names = [builder.add("Gather", whole.name, place, axis=axis + moved) for place in places]
    return tuple(Tensor(name, shape, whole.form) for name in names)


def pack(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Joins tensors along a new axis."""
    axis = node.attributes.get("axis", 0) % (len(inputs[0].shape) + 1)
    place = builder.constant([axis + 1], np.int64)
    names = [builder.add("Unsqueeze", builder.stacked(tensor).name, place) for tensor in inputs]
    shape = (*inputs[0].shape[:axis], len(inputs), *inputs[0].shape[axis:])
    return Tensor(builder.add("Concat", *names, axis=axis + 1), shape, Form.STACKED)


def concat(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: the tensors, then the axis."""
    *tensors, last = inputs
    rank = len(tensors[0].shape)
    axis = int(constant(node, last)) % rank
    size = sum(tensor.shape[axis] for tensor in tensors)
    shape = (*tensors[0].shape[:axis], size, *tensors[0].shape[axis + 1 :])
    if any(tensor.form is Form.FIRST for tensor in tensors) and axis:
        names = [builder.first(tensor).name for tensor in tensors]
        return Tensor(builder.add("Concat", *names, axis=_FIRST_AXIS[axis]), shape, Form.FIRST)
    loose = axis == 0 or any(tensor.form is Form.STACKED for tensor in tensors)
    names = [(builder.stacked(tensor) if loose else builder.last(tensor)).name for tensor in tensors]
    form = Form.STACKED if loose else Form.LAST
    return Tensor(builder.add("Concat", *names, axis=axis + loose), shape, form)


def strided_slice(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: tensor, begin, end, strides. Bits of the masks: a full begin or end, or an axis that goes."""
    if node.attributes.get("ellipsis_mask") or node.attributes.get("new_axis_mask"):
        raise node.unsupported("has an ellipsis or new axis")
    tensor = inputs[0]
    begins, ends, strides = (constant(node, given).tolist() for given in inputs[1:4])
    begin_mask, end_mask, shrink_mask = (
        node.attributes.get(key, 0) for key in ("begin_mask", "end_mask", "shrink_axis_mask")
    )
    for axis, (begin, end, stride) in enumerate(zip(begins, ends, strides, strict=True)):
        if stride < 1:
            raise node.unsupported("runs backwards")
        if shrink_mask >> axis & 1:
            begin, end = begin % tensor.shape[axis], begin % tensor.shape[axis] + 1
        else:
            begin = 0 if begin_mask >> axis & 1 else begin
            end = tensor.shape[axis] if end_mask >> axis & 1 else end
        tensor = _sliced(builder, tensor, axis, range(tensor.shape[axis])[begin:end:stride])
    kept = tuple(size for axis, size in enumerate(tensor.shape) if not shrink_mask >> axis & 1)
    return builder.reshaped(tensor, kept)


def _sliced(builder: GraphBuilder, tensor: Tensor, axis: int, places: range) -> Tensor:
    if len(places) == tensor.shape[axis]:
        return tensor
    whole, moved = builder.ordered(tensor, [axis])
    numbers = ([places.start], [places.stop], [axis + moved], [places.step])
    name = builder.add("Slice", whole.name, *(builder.constant(number, np.int64) for number in numbers))
    shape = (*tensor.shape[:axis], len(places), *tensor.shape[axis + 1 :])
    return Tensor(name, shape, whole.form)


def gather(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: table, row numbers, axis (0): the rows of the table, picture by picture."""
    table, rows = inputs[:2]
    if node.attributes.get("batch_dims") or (len(inputs) > 2 and constant(node, inputs[2]) != 0):
        raise node.unsupported("does not gather along its first axis")
    indices = builder.add("Unsqueeze", builder.stacked(rows).name, builder.constant([-1], np.int64))
    name = builder.add("GatherND", builder.stacked(table).name, indices, batch_dims=1)
    return Tensor(name, rows.shape + table.shape[1:], Form.STACKED)


def gather_nd(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: table, coordinates (last axis) of the places to take."""
    table, places = inputs
    name = builder.add("GatherND", builder.stacked(table).name, builder.stacked(places).name, batch_dims=1)
    return Tensor(name, places.shape[:-1] + table.shape[places.shape[-1] :], Form.STACKED)


def top_k(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Inputs: tensor, k. The k largest of the last axis, largest first, and their places."""
    tensor, _ = builder.ordered(inputs[0], [-1])
    count = int(constant(node, inputs[1]))
    size = builder.constant([count], np.int64)
    names = builder.add_many("TopK", 2, tensor.name, size, axis=-1, largest=1, sorted=1)
    return tuple(Tensor(name, (*tensor.shape[:-1], count), tensor.form) for name in names)


def arg_max(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: tensor, axis. The place of the largest number, the first of equal ones."""
    axis = int(constant(node, inputs[1])) % len(inputs[0].shape)
    tensor, moved = builder.ordered(inputs[0], [axis])
    name = builder.add("ArgMax", tensor.name, axis=axis + moved, keepdims=0)
    return Tensor(name, tensor.shape[:axis] + tensor.shape[axis + 1 :], tensor.form)


def mean(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: tensor, axes."""
    tensor = inputs[0]
    rank = len(tensor.shape)
    axes = sorted(int(axis) % rank for axis in np.atleast_1d(constant(node, inputs[1])))
    keep = bool(node.attributes.get("keep_dims"))
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape) if keep or axis not in axes)
    if tensor.form is Form.FIRST and axes == [1, 2]:
        name = builder.add("ReduceMean", tensor.name, builder.constant([2, 3], np.int64), keepdims=int(keep))
        return Tensor(name, shape, Form.FIRST if keep else Form.LAST)
    tensor, moved = builder.ordered(tensor, axes)
    places = builder.constant([axis + moved for axis in axes], np.int64)
    return Tensor(builder.add("ReduceMean", tensor.name, places, keepdims=int(keep)), shape, tensor.form)


def softmax(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Over the last axis."""
    tensor, _ = builder.ordered(inputs[0], [-1])
    return Tensor(builder.add("Softmax", tensor.name, axis=-1), tensor.shape, tensor.form)


def pad(builder: GraphBuilder, node: Node, inputs: list[Tensor]) -> Tensor:
    """Inputs: tensor, (before, after) per axis, and for PadV2 the number to pad with."""
    tensor = inputs[0]
    amounts = constant(node, inputs[1])
    shape = tuple(int(size + extra.sum()) for size, extra in zip(tensor.shape, amounts, strict=True))
    fill = constant(node, inputs[2]) if len(inputs) > 2 else np.float32(0)
    if tensor.form is Form.FIRST and not amounts[0].any():
        amounts = amounts[[0, 3, 1, 2]]
    else:
        tensor, moved = builder.ordered(tensor, np.flatnonzero(amounts.any(axis=1)))
        amounts = np.concatenate([np.zeros((moved, 2), int), amounts])
    pads = builder.constant(amounts.T.ravel(), np.int64)
    return Tensor(builder.add("Pad", tensor.name, pads, builder.constant(fill)), shape, tensor.form)
