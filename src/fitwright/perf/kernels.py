"""A model as the kernels that one runtime starts, and each kernel as the work of a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitwright.perf.fusion import (
    FUSIONS,
    NORMS,
    QUANTISE,
    RECURRENT_KINDS,
    Runtime,
    is_depthwise,
)
from fitwright.perf.merging import Wiring, fused, is_attention, wiring
from fitwright.perf.operators.shapes import BITS
from fitwright.perf.work import OperatorClass, Work
from fitwright.records.model import ModelSummary, OperatorCost, Product

FLOATS = ("float32", "float16", "bfloat16", "float64")
BESIDE: Mapping[str, tuple[str, ...]] = {
    "int8": ("bfloat16", "float16", "float32"),
    "float8": ("bfloat16", "float16", "float32"),
    "int4": ("bfloat16", "float16", "float32"),
    "float4": ("bfloat16", "float16", "float32"),
}
"""What runs beside products of a narrow dtype, best first: softmax and norms stay in floats."""
BESIDE_BY_RUNTIME: Mapping[Runtime, tuple[str, ...]] = {"onnxruntime": ("float32",)}


_WIDENED_INSIDE = 4
"""Integers that no product reads take as long as their floats: they are widened on the way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """Operators that run as one, for one query.

    Attributes:
        name: of its heaviest operator.
        operators: places in the execution order.
        family: what calibration measures together: the class, or a narrower kind of work.
        flops, elementwise_flops: as of `OperatorCost`.
        weight_bytes: of its constants, as stored.
        activation_bytes: read from other kernels and written for them, as stored.
        dtype: of the arithmetic in the file; ``int8`` for products that are quantised.
        product: of its heaviest operator.
        curved_bytes: what its exponentials and their like read and write, though it stays
            inside; 0 where they are all there is.
        is_counted: False when no rule counts one of its operators.
    """

    name: str
    kinds: tuple[str, ...]
    operators: tuple[int, ...]
    operator_class: OperatorClass
    family: str
    flops: int
    elementwise_flops: int
    weight_bytes: int
    activation_bytes: int
    dtype: str
    product: Product | None
    curved_bytes: int
    is_counted: bool


def kernels(summary: ModelSummary, runtime: Runtime) -> tuple[Kernel, ...]:
    """What the runtime starts for one query, in order."""
    fusion = FUSIONS[runtime]
    wires = wiring(summary.operators, fusion)
    readers = _readers(summary.operators, wires)
    return tuple(
        _kernel(group, summary.operators, wires, readers)
        for group in fused(summary.operators, wires, fusion)
    )


def _readers(operators: Sequence[OperatorCost], wires: Wiring) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in operators]
    for i in range(len(operators)):
        if i not in wires.transparent:
            for source in wires.sources[i]:
                found[source].add(i)
    return found


def _kernel(
    group: Sequence[int],
    operators: Sequence[OperatorCost],
    wires: Wiring,
    readers: Sequence[set[int]],
) -> Kernel:
    inside = set(group)
    own = [operators[i] for i in group]
    heaviest = max(own, key=lambda o: ((o.flops or 0), o.bytes_read + o.bytes_written))
    integer = bool(heaviest.product) and bool(inside & wires.integer)
    dtype = "int8" if integer else heaviest.dtype
    weights = sum(_weights(operators[i], i in wires.integer, operators) for i in group)
    moved = _read(inside, operators, wires) + _written(inside, operators, readers)
    if heaviest.product is None and len(own) > 1 and own[-1].kind == "QuantizeLinear":
        moved *= _WIDENED_INSIDE
    return Kernel(
        name=heaviest.name,
        kinds=tuple(o.kind for o in own),
        operators=tuple(group),
        operator_class=_class(own, heaviest),
        family=_family(own, heaviest),
        flops=sum(o.flops or 0 for o in own),
        elementwise_flops=sum(o.elementwise_flops or 0 for o in own),
        weight_bytes=weights,
        activation_bytes=moved,
        dtype=dtype,
        product=_product(own, heaviest, operators),
        curved_bytes=_curved(own, heaviest),
        is_counted=all(o.flops is not None for o in own),
    )


def _class(own: Sequence[OperatorCost], heaviest: OperatorCost) -> OperatorClass:
    """Which formula answers."""
    product = heaviest.product
    if is_attention(own):
        queries = next((o.product.m for o in own if o.product), 1)
        return "attention_decode" if queries == 1 else "attention_prefill"
    if heaviest.kind in RECURRENT_KINDS:
        return "recurrent"
    if product is None:
        return "gemm" if heaviest.flops else "memory"
    if product.kernel:
        return "depthwise" if is_depthwise(heaviest) else "conv"
    return "gemm"


_SUMMED_NORMS = frozenset({"LayerNormalization", "RMSNormalization"})
_SKIP_NORMS = frozenset(k for k in NORMS if k.startswith("Skip"))
_KINDS: Mapping[str, frozenset[str]] = {
    "softmax": frozenset({"Softmax", "LogSoftmax", "BiasSoftmax"}),
    "norm": NORMS,
    "pool": frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"}),
    "move": frozenset({"Transpose", "DepthToSpace", "SpaceToDepth", "Resize"}),
    "transcendental": frozenset(
        {"Erf", "Exp", "FastGelu", "Gelu", "Log", "QuickGelu", "Sigmoid", "Sin", "Tanh"}
    ),
    "quantise": QUANTISE,
    "where": frozenset({"Where"}),
}
"""Families of what only moves bytes, by any of their kinds; all others are elementwise."""


def _family(own: Sequence[OperatorCost], heaviest: OperatorCost) -> str:
    """What calibration measures together."""
    found = _class(own, heaviest)
    if found == "memory":
        kinds = {o.kind for o in own}
        if ("Add" in kinds and kinds & _SUMMED_NORMS) or kinds & _SKIP_NORMS:
            return "skip_norm"
        return next((name for name, some in _KINDS.items() if kinds & some), "elementwise")
    if heaviest.kind == "ConvTranspose":
        return "conv_transpose"
    product = heaviest.product
    several = product is not None and product.num_products > 1 and not product.has_weights
    return "products" if found == "gemm" and several else found


def _curved(own: Sequence[OperatorCost], heaviest: OperatorCost) -> int:
    """Bytes of the exponentials behind a product: they take time though nothing moves."""
    if heaviest.product is None:
        return 0
    return sum(2 * o.bytes_written for o in own if o.kind in _KINDS["transcendental"])


def curved_work(kernel: Kernel, *, beside: str, batch: int) -> Work:
    """The exponentials behind a product, as if they stood alone."""
    scale = BITS[beside] / BITS[kernel.dtype] if kernel.dtype in FLOATS else BITS[beside] / 32
    return Work(
        operator_class="memory",
        dtype=beside,
        flops=0.0,
        bytes_moved=scale * batch * kernel.curved_bytes,
    )


def _product(
    own: Sequence[OperatorCost], heaviest: OperatorCost, operators: Sequence[OperatorCost]
) -> Product | None:
    """That of the scores where it is an attention; a cube where only the FLOP are known."""
    if is_attention(own):
        return next((o.product for o in own if o.product), None)
    if heaviest.product is None and heaviest.flops:
        side = max(1, round((heaviest.flops / 2) ** (1 / 3)))
        return Product(m=side, n=side, k=side)
    product = heaviest.product
    if product is not None and not product.has_weights and _reads_constants(heaviest, operators):
        return product.model_copy(update={"has_weights": True})
    return product


def _weights(operator: OperatorCost, integer: bool, operators: Sequence[OperatorCost]) -> int:
    """Constants that it reads for each query, bytes."""
    product = operator.product
    if product is None:
        return min(operator.weight_bytes, operator.bytes_read)
    if not (product.has_weights or _reads_constants(operator, operators)):
        return 0
    size = product.n * product.k * product.num_products
    if integer:
        return size
    return min(size * BITS.get(operator.dtype, 32) // 8, max(operator.bytes_read, 0))


def _reads_constants(operator: OperatorCost, operators: Sequence[OperatorCost]) -> bool:
    """Whether one side comes from constants alone, such as dequantised weights."""
    sides = [operators[r] for r in operator.reads_from]
    return any(not s.reads_from and not s.reads_inputs for s in sides)


def _read(inside: set[int], operators: Sequence[OperatorCost], wires: Wiring) -> int:
    """Results of other kernels, each once, and inputs of the model."""
    largest: dict[int, int] = {}
    given = 0
    for i in inside:
        operator = operators[i]
        for source in wires.sources[i]:
            if source not in inside:
                seen = min(operators[source].activation_bytes, max(operator.bytes_read, 1))
                largest[source] = max(largest.get(source, 0), seen)
        if operator.reads_inputs:
            made = sum(operators[r].activation_bytes for r in operator.reads_from)
            rest = operator.bytes_read - made - _weights(operator, i in wires.integer, operators)
            given += max(rest, 0)
    return sum(largest.values()) + given


def _written(
    inside: set[int], operators: Sequence[OperatorCost], readers: Sequence[set[int]]
) -> int:
    """What others read, and what nobody reads: the model's outputs."""
    return sum(operators[i].bytes_written for i in inside if not readers[i] or readers[i] - inside)


def work_of(
    kernel: Kernel,
    *,
    dtype: str,
    beside: str,
    batch: int,
    model_bytes: float,
    floats: frozenset[OperatorClass] = frozenset(),
) -> Work:
    """A kernel as the work of its formula.

    Args:
        dtype: that products of floats are computed in.
        beside: dtype of everything else.
        batch: queries at once; weights are read once for all of them.
        model_bytes: weights and live activations of the whole model, what passes through the
            caches between two reads of one weight.
        floats: classes that are not in `dtype` where that is narrow; see `Fusion`.
    """
    kept = dtype in BESIDE and kernel.operator_class in floats
    used = _arithmetic(kernel, dtype=beside if kept else dtype, beside=beside)
    scale = _scale(kernel.dtype, used)
    moved = scale * (kernel.weight_bytes + batch * kernel.activation_bytes)
    p = kernel.product
    has_weights = p is not None and p.has_weights
    return Work(
        operator_class=kernel.operator_class,
        dtype=used,
        flops=float(kernel.flops * batch),
        bytes_moved=moved,
        working_set_bytes=max(moved, model_bytes if kernel.weight_bytes else 0.0),
        m=1 if p is None else p.m * (batch if has_weights else 1),
        n=1 if p is None else p.n,
        k=1 if p is None else p.k,
        num_batches=1 if p is None else p.num_products * (1 if has_weights else batch),
        num_steps=1 if p is None else p.num_steps,
    )


def _arithmetic(kernel: Kernel, *, dtype: str, beside: str) -> str:
    """What a kernel computes in: products of floats in `dtype`, those of integers in their own,
    all else beside them."""
    if kernel.operator_class in ("memory", "attention_prefill", "attention_decode"):
        return beside
    if kernel.dtype not in FLOATS:
        return kernel.dtype if kernel.dtype in BITS else beside
    return dtype


def _scale(stored: str, used: str) -> float:
    """Bytes per element of what is used over what is stored; integers stay as they are."""
    if stored not in FLOATS:
        return 1.0
    return BITS[used] / BITS[stored]
