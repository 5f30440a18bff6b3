"""Which operators a runtime runs as one kernel: a table per runtime, read by `perf.merging`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fitwright.perf.work import OperatorClass
from fitwright.records.model import CONVOLUTIONS, RECURRENT, OperatorCost

Runtime = Literal["eager", "compiled", "onnxruntime", "openvino", "tensorrt"]
Role = Literal[
    "product", "attention", "recurrent", "elementwise", "norm", "move", "quantise", "other"
]

_ELEMENTWISE = (
    "Abs Add And BatchNormalization BiasAdd BiasGelu BitwiseAnd BitwiseOr Cast Ceil Celu Clip Cos "
    "Div Elu Equal Erf Exp FastGelu Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf "
    "IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuickGelu "
    "QLinearAdd QLinearLeakyRelu QLinearMul QLinearSigmoid Reciprocal Relu Round Selu Shrink "
    "Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum Swish SwiGLU Tan Tanh ThresholdedRelu "
    "Where Xor"
)
_NORMS = (
    "BiasSoftmax EmbedLayerNormalization GroupNorm GroupNormalization InstanceNormalization "
    "LayerNormalization LogSoftmax LpNormalization LRN MeanVarianceNormalization "
    "QLinearSoftmax RMSNormalization ReduceL2 ReduceMax ReduceMean ReduceSum ReduceSumSquare "
    "SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization "
    "SkipSimplifiedLayerNormalization Softmax"
)
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
NORMS = frozenset(_NORMS.split())
WHOLE_NORMS = frozenset(k for k in NORMS if not k.startswith("Reduce"))
NARROWING = frozenset({"QuantizeLinear", "DynamicQuantizeLinear"})
QUANTISE = NARROWING | {"DequantizeLinear"}
ATTENTION = frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention"})
ALL_CONVOLUTIONS = CONVOLUTIONS | {"ConvInteger", "FusedConv", "QLinearConv"}
RECURRENT_KINDS = RECURRENT | {"DynamicQuantizeLSTM"}
SHAPES = frozenset({"Shape", "Size", "ConstantOfShape", "Range", "EyeLike"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """What one runtime merges.

    Attributes:
        behind_products, behind_convolutions: kinds that run in the last step of one. A bias
            does everywhere.
        patterns: two neighbours that work element by element or normalise are one kernel when
            either is of these kinds: ``Erf`` names the written-out Gelu, ``ReduceMean`` the
            written-out LayerNorm.
        attention: product, softmax and product written out become one kernel, unless a guard
            against rows that are masked as a whole (IsNaN) stands between them.
        transposes: those next to a product of activations are read in place.
        quantisation: pairs around a product make it one of integers and vanish.
        floats: classes that stay in floating point where a model is assumed to be quantised.
        float_kinds: products without an integer kernel, whatever stands around them.
        integer_kinds: what has an integer kernel beside products; what was quantised is widened
            by a kernel of its own where anything else reads it. None: whatever reads it.
        host_s: least time per operator, views included, that the host needs to start it.
        source: where the rules are from.
    """

    behind_products: frozenset[str]
    behind_convolutions: frozenset[str]
    patterns: frozenset[str]
    attention: bool
    transposes: bool
    quantisation: bool
    floats: frozenset[OperatorClass]
    host_s: float
    source: str
    float_kinds: frozenset[str] = frozenset()
    integer_kinds: frozenset[str] | None = None


_ACTIVATIONS = frozenset({"Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})
_WRITTEN_OUT = frozenset({"ReduceMean", "Tanh", "IsNaN"})
_NONE = frozenset[str]()
_RECURRENT = frozenset[OperatorClass]({"recurrent"})

_INTEGER = (
    "Add AveragePool Concat Gather GlobalAveragePool LeakyRelu MaxPool QuantizeLinear Reshape "
    "Resize Sigmoid Slice Split Squeeze Transpose Unsqueeze"
)
_INTEGER_KINDS = frozenset(_INTEGER.split())

FUSIONS: Mapping[Runtime, Fusion] = {
    "eager": Fusion(
        behind_products=_NONE,
        behind_convolutions=_NONE,
        patterns=_NONE,
        attention=False,
        transposes=True,
        quantisation=False,
        floats=_RECURRENT,
        host_s=6e-6,
        source="PyTorch: one kernel per operator; 5 to 10 us of Python and dispatch for each",
    ),
    "compiled": Fusion(
        behind_products=_NONE,
        behind_convolutions=frozenset({"BatchNormalization"}),
        patterns=ELEMENTWISE | NORMS,
        attention=True,
        transposes=True,
        quantisation=False,
        floats=_RECURRENT,
        host_s=0.0,
        source="torch.compile: pointwise and reduction kernels merge, products stay library calls",
    ),
    "onnxruntime": Fusion(
        behind_products=_ACTIVATIONS,
        behind_convolutions=_ACTIVATIONS | {"Add", "BatchNormalization"},
        patterns=_WRITTEN_OUT - {"IsNaN"} | {"LayerNormalization"},
        attention=True,
        transposes=False,
        quantisation=True,
        floats=_RECURRENT,
        host_s=0.0,
        source="ONNX Runtime 1.32, graphs written by level all: Conv and Gemm with activation, "
        "Conv with Add, FastGelu, SkipLayerNormalization; integer kernels for QDQ pairs, none "
        "for ConvTranspose",
        float_kinds=frozenset({"ConvTranspose"}),
        integer_kinds=_INTEGER_KINDS,
    ),
    "openvino": Fusion(
        behind_products=ELEMENTWISE,
        behind_convolutions=ELEMENTWISE,
        patterns=_WRITTEN_OUT | {"Erf", "Sigmoid"},
        attention=True,
        transposes=False,
        quantisation=True,
        floats=_RECURRENT | {"depthwise"},
        host_s=0.0,
        source="OpenVINO 2026.4, executed graphs of the CPU plugin: post-ops of oneDNN, MVN, "
        "Gelu and subgraphs; FakeQuantize",
    ),
    "tensorrt": Fusion(
        behind_products=ELEMENTWISE,
        behind_convolutions=ELEMENTWISE,
        patterns=ELEMENTWISE | NORMS,
        attention=True,
        transposes=True,
        quantisation=True,
        floats=_RECURRENT,
        host_s=0.0,
        source="TensorRT: point-wise, reduction and Myelin fusions",
    ),
}


def role(operator: OperatorCost) -> Role:
    """What an operator is to the fusion rules."""
    kind = operator.kind
    if kind in ATTENTION:
        return "attention"
    if kind in RECURRENT_KINDS:
        return "recurrent"
    if operator.product is not None or operator.flops:
        return "product"
    for name, kinds in _ROLES:
        if kind in kinds:
            return name
    return "other"


_ROLES: tuple[tuple[Role, frozenset[str]], ...] = (
    ("elementwise", ELEMENTWISE),
    ("norm", NORMS),
    ("quantise", QUANTISE),
    ("move", frozenset({"Transpose"})),
)


def is_depthwise(operator: OperatorCost) -> bool:
    """A convolution that keeps its channels apart."""
    p = operator.product
    return bool(p and p.kernel and p.num_products > 1 and p.k == math.prod(p.kernel))
