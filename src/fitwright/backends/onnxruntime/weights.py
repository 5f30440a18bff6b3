"""Weights in int8 or int4, arithmetic in floating point: by ONNX Runtime's own operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fitwright.backends.quiet import quiet

_SMALLEST = 1024  # weights; below it the scales cost as much as is saved


def block_quantised(model: Path, out: Path, *, bits: int, block_size: int) -> int:
    """Store the constant factor of every MatMul in blocks of `block_size`; how many there are.

    The operator is ``com.microsoft.MatMulNBits`` with one scale and zero point per block;
    it rounds activations to int8 per block on the way in (accuracy level 4), which is the
    form that has a fast kernel on CPUs. Gemm is taken apart into MatMul and Add first.
    """
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    wrapped = ONNXModel(onnx.load(model))
    wrapped.replace_gemm_with_matmul()
    quantiser = MatMulNBitsQuantizer(
        wrapped.model,
        bits=bits,
        block_size=block_size,
        is_symmetric=False,
        accuracy_level=4,
        op_types_to_quantize=("MatMul",),
    )
    with quiet():
        quantiser.process()
    quantised = quantiser.model.model
    found = sum(1 for node in quantised.graph.node if node.op_type == "MatMulNBits")
    if found:
        onnx.save(quantised, out)
    return found


def channel_quantised(model: Path, out: Path, *, kinds: frozenset[str]) -> int:
    """Store constant weights as int8 with one scale per output channel; how many there are.

    Each is followed by a DequantizeLinear of the standard domain, so that every backend
    reads it. Symmetric: w = scale * q with scale = max|w| / 127 over the channel.
    """
    import onnx

    loaded = onnx.load(model)
    graph = loaded.graph
    weights = {w.name: w for w in graph.initializer}
    uses: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    axes: dict[str, int] = {}
    for node in graph.node:
        name = node.input[1] if node.op_type in kinds and len(node.input) > 1 else ""
        if name in weights and len(uses[name]) == 1 and _is_large_float(weights[name]):
            axes[name] = _channel_axis(node, rank=len(weights[name].dims))
    pairs = [_as_int8(weights[name], axis=axis, user=uses[name][0]) for name, axis in axes.items()]
    for name, (constants, dequantise) in zip(axes, pairs, strict=True):
        graph.initializer.remove(weights[name])
        graph.initializer.extend(constants)
        graph.node.insert(0, dequantise)
    if pairs:
        onnx.save(loaded, out)
    return len(pairs)


def _is_large_float(weight: Any) -> bool:
    import math

    import onnx

    return (
        weight.data_type == onnx.TensorProto.FLOAT
        and len(weight.dims) >= 2
        and math.prod(weight.dims) >= _SMALLEST
    )


def _channel_axis(node: Any, *, rank: int) -> int:
    """Which axis of the weight is the output channel."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else rank - 1


def _as_int8(weight: Any, *, axis: int, user: Any) -> tuple[list[Any], Any]:
    import numpy as np
    import onnx

    values = onnx.numpy_helper.to_array(weight)
    others = tuple(i for i in range(values.ndim) if i != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / np.float32(127)
    scale[scale == 0] = 1
    rounded = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    name = weight.name
    constants = [
        onnx.numpy_helper.from_array(rounded, f"{name}_int8"),
        onnx.numpy_helper.from_array(scale.reshape(-1).astype(np.float32), f"{name}_scale"),
    ]
    dequantise = onnx.helper.make_node(
        "DequantizeLinear",
        [f"{name}_int8", f"{name}_scale"],
        [f"{name}_float"],
        name=f"{name}_dequantise",
        axis=axis,
    )
    user.input[1] = dequantise.output[0]
    return constants, dequantise
