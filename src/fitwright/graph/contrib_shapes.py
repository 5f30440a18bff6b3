"""Output shapes of ONNX Runtime's own operators (com.microsoft), which onnx does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from fitwright.graph.cost.operator import MALFORMED
from fitwright.graph.known import Known, tensor_type
from fitwright.graph.scope import attribute_values

Types = list[onnx.TypeProto | None]
Attributes = Mapping[str, object]
Shape = tuple[int, ...]
Ruling = Callable[[Sequence[Known | None], Attributes], Sequence[tuple[int, Shape]]]
"""From inputs and attributes to (element type, shape) of the leading outputs."""


def contrib_types(node: onnx.NodeProto, inputs: Sequence[Known | None]) -> Types:
    """One entry per output; None where this table knows nothing."""
    ruling = CONTRIB.get(node.op_type)
    types: Types = [None] * len(node.output)
    if ruling is None:
        return types
    attributes = attribute_values(node)
    try:
        answers = ruling(inputs, attributes)
    except (_Unknown, *MALFORMED):
        return types
    for index, (element, shape) in enumerate(answers[: len(types)]):
        types[index] = tensor_type(element, shape)
    return types


FLOAT = onnx.TensorProto.FLOAT


class _Unknown(Exception):
    """An input is absent or has no shape."""


def _shape(inputs: Sequence[Known | None], index: int) -> Shape:
    value = inputs[index] if index < len(inputs) else None
    if value is None or value.shape is None:
        raise _Unknown
    return value.shape


def _element(inputs: Sequence[Known | None], index: int) -> int:
    value = inputs[index] if index < len(inputs) else None
    if value is None or value.type is None:
        raise _Unknown
    return int(value.type.tensor_type.elem_type)


def _given(inputs: Sequence[Known | None], index: int) -> bool:
    return index < len(inputs) and inputs[index] is not None


def _int(attributes: Attributes, name: str, default: int | None = None) -> int:
    value = attributes.get(name, default)
    if not isinstance(value, int):
        raise _Unknown
    return value


def _like(index: int = 0, *, element: int | None = None) -> Ruling:
    """The same shape as an input."""

    def ruling(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
        return [(element or _element(i, index), _shape(i, index))]

    return ruling


def _broadcast(a: int, b: int) -> Ruling:
    def ruling(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
        return [(_element(i, 0), np.broadcast_shapes(_shape(i, a), _shape(i, b)))]

    return ruling


def _product(a: Shape, b: Shape) -> Shape:
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise _Unknown
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def _matmul(a: int, b: int, *, element: int | None = None) -> Ruling:
    def ruling(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
        return [(element or _element(i, 0), _product(_shape(i, a), _shape(i, b)))]

    return ruling


def _fused_matmul(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    def turned(shape: Shape, side: str) -> Shape:
        if _int(at, f"transBatch{side}", 0):
            shape = (*shape[1:-1], shape[0], shape[-1])
        return (*shape[:-2], shape[-1], shape[-2]) if _int(at, f"trans{side}", 0) else shape

    return [(_element(i, 0), _product(turned(_shape(i, 0), "A"), turned(_shape(i, 1), "B")))]


def _gemm(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    quantized = len(i) > 3
    a, b = _shape(i, 0), _shape(i, 3 if quantized else 1)
    rows = a[1] if _int(at, "transA", 0) else a[0]
    columns = b[0] if _int(at, "transB", 0) else b[1]
    is_float = quantized and not _given(i, 8)
    return [(onnx.TensorProto.FLOAT if is_float else _element(i, 0), (rows, columns))]


def _matmul_nbits(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    return [(_element(i, 0), (*_shape(i, 0)[:-1], _int(at, "N")))]


def _attention(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    batch, sequence, _ = _shape(i, 0)
    sizes = at.get("qkv_hidden_sizes")
    width = sizes[2] if isinstance(sizes, list) else _shape(i, 1)[1] // 3
    scale = 3 if _element(i, 0) in (onnx.TensorProto.UINT8, onnx.TensorProto.INT8) else 0
    return [(_element(i, scale), (batch, sequence, int(width)))]


def _multi_head_attention(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    query = _shape(i, 0)
    if len(query) == 5:
        batch, sequence, heads, _three, size = query
        return [(_element(i, 0), (batch, sequence, heads * size))]
    if not _given(i, 2):
        return [(_element(i, 0), query)]
    value = _shape(i, 2)
    width = value[1] * value[3] if len(value) == 4 else value[2]
    return [(_element(i, 0), (*query[:2], width))]


def _group_query_attention(
    i: Sequence[Known | None], at: Attributes
) -> Sequence[tuple[int, Shape]]:
    batch, sequence, width = _shape(i, 0)
    heads, kv_heads = _int(at, "num_heads"), _int(at, "kv_num_heads")
    size = width // heads if _given(i, 1) else width // (heads + 2 * kv_heads)
    answers: list[tuple[int, Shape]] = [(_element(i, 0), (batch, sequence, heads * size))]
    if _given(i, 6) and (total := i[6]) is not None and total.data is not None:
        length = max(int(total.data.reshape(-1)[0]), _shape(i, 3)[2] if _given(i, 3) else 0)
        answers += [(_element(i, 0), (batch, kv_heads, length, size))] * 2
    return answers


def _skip_norm(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    shape, one = _shape(i, 0), (*_shape(i, 0)[:-1], 1)
    return [
        (_element(i, 0), shape),
        (onnx.TensorProto.FLOAT, one),
        (onnx.TensorProto.FLOAT, one),
        (_element(i, 0), shape),
    ]


def _embed_norm(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    ids, table = _shape(i, 0), _shape(i, 2)
    shape = (*ids, table[1])
    return [(_element(i, 2), shape), (onnx.TensorProto.INT32, ids[:1]), (_element(i, 2), shape)]


def _conv(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    x, w = _shape(i, 0), _shape(i, 1)
    space = len(x) - 2
    strides = _ints(at, "strides", [1] * space)
    dilations = _ints(at, "dilations", [1] * space)
    pads = _ints(at, "pads", [0] * 2 * space)
    same = at.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    out = []
    for d in range(space):
        reach = dilations[d] * (w[2 + d] - 1) + 1
        padded = x[2 + d] + pads[d] + pads[space + d]
        out.append(-(-x[2 + d] // strides[d]) if same else (padded - reach) // strides[d] + 1)
    return [(_element(i, 0), (x[0], w[0], *out))]


def _window_pool(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    x = _shape(i, 0)
    last = bool(_int(at, "channels_last", int(not _given(i, 1))))
    space = x[1:-1] if last else x[2:]
    kernel = _ints(at, "kernel_shape", [])
    strides = _ints(at, "strides", [1] * len(space))
    dilations = _ints(at, "dilations", [1] * len(space))
    pads = _ints(at, "pads", [0] * 2 * len(space))
    same = at.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    up = _int(at, "ceil_mode", 0)
    out = []
    for d, size in enumerate(space):
        room = size + pads[d] + pads[len(space) + d] - dilations[d] * (kernel[d] - 1) - 1
        whole = -(-room // strides[d]) if up else room // strides[d]
        out.append(-(-size // strides[d]) if same else whole + 1)
    return [(_element(i, 0), (x[0], *out, x[-1]) if last else (*x[:2], *out))]


def _quantized_lstm(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    steps, batch = _shape(i, 0)[:2]
    directions, hidden = _shape(i, 2)[:2]
    last = (FLOAT, (directions, batch, hidden))
    return [(FLOAT, (steps, directions, batch, hidden)), last, last]


def _global_pool(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    x = _shape(i, 0)
    last = bool(_int(at, "channels_last", 0))
    ones = (1,) * (len(x) - 2)
    return [(_element(i, 0), (x[0], *ones, x[-1]) if last else (*x[:2], *ones))]


def _qlinear_concat(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    shapes = [_shape(i, k) for k in range(2, len(i), 3)]
    axis = _int(at, "axis") % len(shapes[0])
    total = sum(s[axis] for s in shapes)
    return [(_element(i, 2), (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))]


def _quantize(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    return [(_element(i, 2) if _given(i, 2) else onnx.TensorProto.UINT8, _shape(i, 0))]


def _dequantize(i: Sequence[Known | None], _: Attributes) -> Sequence[tuple[int, Shape]]:
    return [(_element(i, 1), _shape(i, 0))]


def _gather_block(i: Sequence[Known | None], at: Attributes) -> Sequence[tuple[int, Shape]]:
    table, ids = _shape(i, 0), _shape(i, 1)
    packed = _element(i, 0) == onnx.TensorProto.UINT8 and _int(at, "bits", 4) == 4
    axis = _int(at, "gather_axis", 0) % len(table)
    width = (*table[:-1], table[-1] * (2 if packed else 1))
    return [(_element(i, 2), (*width[:axis], *ids, *width[axis + 1 :]))]


def _ints(attributes: Attributes, name: str, default: list[int]) -> list[int]:
    value = attributes.get(name, default)
    return [int(v) for v in value] if isinstance(value, list) else default


_SAME = (
    "Gelu FastGelu BiasGelu QuickGelu BiasSoftmax GroupNorm SkipGroupNorm Inverse BiasAdd "
    "QLinearSigmoid QLinearLeakyRelu QLinearSoftmax RotaryEmbedding GemmaRotaryEmbedding Trilu "
    "SimplifiedLayerNormalization"
)
CONTRIB: Mapping[str, Ruling] = {
    **dict.fromkeys(
        _SAME.split(),
        _like(),
    ),
    "QLinearAdd": _broadcast(0, 3),
    "QLinearMul": _broadcast(0, 3),
    "FusedMatMul": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "MatMulIntegerToFloat": _matmul(0, 1, element=FLOAT),
    "DynamicQuantizeMatMul": _matmul(0, 1, element=FLOAT),
    "MatMulInteger16": _matmul(0, 1, element=onnx.TensorProto.INT32),
    "MatMulNBits": _matmul_nbits,
    "MatMulBnb4": _matmul_nbits,
    "MatMulFpQ4": _matmul_nbits,
    "FusedGemm": _gemm,
    "GemmFastGelu": _matmul(0, 1),
    "QGemm": _gemm,
    "FusedConv": _conv,
    "Attention": _attention,
    "QAttention": _attention,
    "MultiHeadAttention": _multi_head_attention,
    "GroupQueryAttention": _group_query_attention,
    "SkipLayerNormalization": _skip_norm,
    "SkipSimplifiedLayerNormalization": _skip_norm,
    "EmbedLayerNormalization": _embed_norm,
    "QLinearGlobalAveragePool": _global_pool,
    "QLinearAveragePool": _window_pool,
    "NhwcMaxPool": _window_pool,
    "DynamicQuantizeLSTM": _quantized_lstm,
    "QLinearConcat": _qlinear_concat,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "GatherBlockQuantized": _gather_block,
}
"""Shapes from onnxruntime docs/ContribOperators.md."""
