"""ONNX networks on PyTorch: the graph is read into calls of torch, which on CUDA run in half precision and are captured
as CUDA graphs.

`layers`, `tensors` and `operators` say what each ONNX operator is in torch, `program` reads a file, `captured` runs it.
"""
