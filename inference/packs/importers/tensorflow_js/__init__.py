"""TensorFlow.js graph models to ONNX, node by node.

TensorFlow keeps channels last, ONNX convolutions want them first. Tensors carry the layout they are in, layout-blind
operators keep it, and a transpose is written only where an operator needs the other one, so in practice a network
has one at its input and one where its spatial part ends. Graphs that were written for one picture become batched
ones: see Form.
"""
