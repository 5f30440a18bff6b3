"""What one operator asks of a device: the input of every operator formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OperatorClass = Literal[
    "gemm",
    "grouped_gemm",
    "conv",
    "depthwise",
    "attention_prefill",
    "attention_decode",
    "recurrent",
    "memory",
]
"""Operators that reach alike shares of the peaks. ``memory``: normalisation, softmax,
elementwise, gather, transpose, quantise: bytes decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One operator at its shapes.

    Attributes:
        dtype: of the arithmetic, as in `Sheet.peaks` (``bfloat16``, ``int8``, ``float32`` …).
        flops: multiply-adds, 1 MAC = 2.
        bytes_moved: inputs, weights and outputs, each once.
        working_set_bytes: what must stay on chip for the on-chip bandwidth to count.
        m, n, k: of the product that the operator amounts to (convolutions as implicit GEMM);
            1 where it is none. m: rows of activations, n: columns of weights.
        num_batches: independent products of that shape.
        num_steps: dependent steps (recurrent).
        weight_dtype: of what is read, where it is narrower than the arithmetic: the weights of
            a weight-only quantised product (``int8``, ``int4``), the cache of an attention
            (``float8``); empty: as `dtype`. `bytes_moved` counts it narrow already.
        scaling: ``block`` where scales belong to blocks of weights and activations
            (fp8 by 128 x 128): kernels of their own, with evidence of their own.
        heads_per_kv_head: query heads that share one key-value head (attention).
    """

    operator_class: OperatorClass
    dtype: str
    flops: float
    bytes_moved: float
    working_set_bytes: float = 0.0
    m: int = 1
    n: int = 1
    k: int = 1
    num_batches: int = 1
    num_steps: int = 1
    weight_dtype: str = ""
    scaling: str = ""
    heads_per_kv_head: int = 1

    def __post_init__(self) -> None:
        if self.flops < 0 or self.bytes_moved < 0:
            raise ValueError(f"work is never negative, got {self}")
