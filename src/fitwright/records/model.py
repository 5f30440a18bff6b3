"""What a model is and what it costs, counted from its graph."""

from __future__ import annotations

from pydantic import computed_field

from fitwright.records.record import Record

MATRICES = frozenset({"MatMul", "Gemm"})
"""Operator kinds of ONNX that are products of matrices."""
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
"""Operator kinds of ONNX that are convolutions."""
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
"""Kinds that work through a sequence step by step."""


class TensorInfo(Record):
    """Name, element type (numpy name, e.g. ``float32``) and shape; a symbol is a free size."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Product(Record):
    """The matrix product that an operator amounts to: (m, k) times (k, n).

    For matrix products, convolutions (as implicit GEMM) and recurrent layers the FLOP are
    2 x m x n x k x num_products x num_steps, exactly. For attention this is the product of the
    scores; that of the weighted values, (m, n) times (n, head), comes on top.

    Attributes:
        m: rows of activations: positions times batch; queries of attention.
        n: columns, of the weights where there are any; keys of attention.
        k: what is summed over; the size of a head of attention.
        num_products: independent ones: heads times batch, groups of a convolution.
        num_steps: dependent ones, each waiting for the last: steps of a recurrent layer.
        kernel: sizes of a convolution's window, else empty.
        has_weights: the right side is the same for every query.
    """

    m: int
    n: int
    k: int
    num_products: int = 1
    num_steps: int = 1
    kernel: tuple[int, ...] = ()
    has_weights: bool = True


class OperatorCost(Record):
    """What one operator does for one query, at the bound shapes.

    Attributes:
        flops: multiply-adds of matmul-like operators, 1 MAC = 2 FLOP; ``None``: no rule.
        elementwise_flops: everything else that computes (activation, norm, add), apart.
        bytes_read, bytes_written: each input and output once; weights included in the read.
        weight_bytes, num_parameters: constants this operator is the first to read.
        activation_bytes: its outputs.
        dtype: of the arithmetic: that of the activations, ``int8`` for products of integers;
            empty where unknown.
        product: for what is matmul-like, where the shapes say so.
        reads_from: places in the execution order of the operators whose results it reads.
        reads_inputs: whether it reads an input of the model.
        is_view: the same bytes under another shape.
    """

    name: str
    kind: str
    domain: str = ""
    flops: int | None
    elementwise_flops: int | None
    bytes_read: int
    bytes_written: int
    weight_bytes: int
    num_parameters: int
    activation_bytes: int
    dtype: str = ""
    product: Product | None = None
    reads_from: tuple[int, ...] = ()
    reads_inputs: bool = False
    is_view: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def arithmetic_intensity(self) -> float | None:
        """FLOP (both kinds) per byte moved; ``None`` where the FLOP are unknown."""
        moved = self.bytes_read + self.bytes_written
        if self.flops is None or not moved:
            return None
        return (self.flops + (self.elementwise_flops or 0)) / moved


class Lifetime(Record):
    """One activation buffer and the operators (by index) between which it must exist.

    `first` produces it, `last` is the last to read it; both ends included.
    """

    name: str
    bytes: int
    first: int
    last: int


class Uncounted(Record):
    """An operator kind without a rule: named, never counted as zero."""

    kind: str
    domain: str
    num_operators: int
    reason: str


class ModelSummary(Record):
    """The model as step 1 sees it.

    Attributes:
        sha256: over the ONNX file and every external data file it reads, in order.
        size_bytes: of the same files.
        bindings: the size given to each symbolic dimension.
        operators: in execution order.
        lifetimes: activations over that order, for the memory plan.
        peak_activation_bytes: largest sum of live activations at any operator.
        is_classifier_shape: the first output is (batch, classes) with 2 classes or more.
        is_batchable: every input opens with a free axis that took the contract's batch, and
            so do all outputs: several queries may be stacked into one run.
    """

    path: str
    format: str = "onnx"
    sha256: str
    size_bytes: int
    ir_version: int
    opsets: dict[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    bindings: dict[str, int]
    operators: tuple[OperatorCost, ...]
    uncounted: tuple[Uncounted, ...]
    lifetimes: tuple[Lifetime, ...]
    num_parameters: int
    weight_bytes: int
    peak_activation_bytes: int
    is_classifier_shape: bool = False
    is_batchable: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flops(self) -> int:
        """Matmul-like FLOP of one query, of the operators that have a rule."""
        return sum(o.flops or 0 for o in self.operators)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def elementwise_flops(self) -> int:
        """All other counted FLOP of one query."""
        return sum(o.elementwise_flops or 0 for o in self.operators)
