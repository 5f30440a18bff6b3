"""Summaries made by hand, a made-up device, and constants of every class for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fitwright.records.evidence import Evidence
from fitwright.records.model import ModelSummary, OperatorCost, Product, TensorInfo, Uncounted
from fitwright.records.sheet import Fact, Sheet

ROWS, WIDTH = 64, 256
ACTIVATION = 4 * ROWS * WIDTH


def operator(kind: str, *reads_from: int, **more: Any) -> OperatorCost:
    """Elementwise over (64, 256) floats unless told otherwise."""
    fields: dict[str, Any] = {
        "name": more.pop("name", kind.lower()),
        "kind": kind,
        "flops": 0,
        "elementwise_flops": ROWS * WIDTH,
        "bytes_read": ACTIVATION * max(len(reads_from), 1),
        "bytes_written": ACTIVATION,
        "weight_bytes": 0,
        "num_parameters": 0,
        "activation_bytes": ACTIVATION,
        "dtype": "float32",
        "reads_from": reads_from,
        "reads_inputs": not reads_from,
    }
    return OperatorCost(**{**fields, **more})


def matmul(*reads_from: int, has_weights: bool = True, **more: Any) -> OperatorCost:
    """(64, 256) times (256, 256)."""
    product = Product(m=ROWS, n=WIDTH, k=WIDTH, has_weights=has_weights)
    weights = 4 * WIDTH * WIDTH
    fields: dict[str, Any] = {
        "flops": 2 * ROWS * WIDTH * WIDTH,
        "elementwise_flops": 0,
        "bytes_read": ACTIVATION + weights,
        "weight_bytes": weights if has_weights else 0,
        "num_parameters": WIDTH * WIDTH if has_weights else 0,
        "product": product,
    }
    return operator("MatMul", *reads_from, **{**fields, **more})


def summary(
    operators: Sequence[OperatorCost], *, uncounted: Sequence[Uncounted] = ()
) -> ModelSummary:
    tensor = TensorInfo(name="x", dtype="float32", shape=(ROWS, WIDTH))
    return ModelSummary(
        path="m.onnx",
        sha256="0" * 64,
        size_bytes=1,
        ir_version=10,
        opsets={"ai.onnx": 21},
        inputs=(tensor,),
        outputs=(tensor.model_copy(update={"name": "y"}),),
        bindings={},
        operators=tuple(operators),
        uncounted=tuple(uncounted),
        lifetimes=(),
        num_parameters=sum(o.num_parameters for o in operators),
        weight_bytes=sum(o.weight_bytes for o in operators),
        peak_activation_bytes=2 * ACTIVATION,
    )


def fact(value: float) -> Fact:
    return Fact(value=value, source="made up for a test", confidence="C")


def sheet(**more: Any) -> Sheet:
    fields: dict[str, Any] = {
        "id": "made-up",
        "name": "Made up",
        "kind": "gpu",
        "vendor": "nobody",
        "architecture": "none",
        "family": "none",
        "peaks": {"float32": fact(1e13), "bfloat16": fact(1e14), "int8": fact(2e14)},
        "bandwidth_bytes_per_s": fact(1e12),
    }
    return Sheet(**{**fields, **more})


def evidence(what: str, dtype: str = "", **more: Any) -> Evidence:
    fields: dict[str, Any] = {
        "what": what,
        "dtype": dtype,
        "rung": "kind",
        "scope": "gpu",
        "constants": {"floor_s": 1e-6, "compute_share": 0.7, "bandwidth_share": 0.7},
        "spread": 1.4,
        "num_points": 9,
        "source": "made up for a test",
    }
    return Evidence(**{**fields, **more})


TABLE = (
    *(evidence(w, d) for w in ("gemm", "conv") for d in ("float32", "bfloat16", "int8")),
    evidence("memory"),
    evidence("depthwise"),
)
