"""Memory of a served language model: its cache of keys and values, and its weights."""

from __future__ import annotations

from dataclasses import replace

from fitwright.perf.ladder import estimate
from fitwright.perf.llm import counts
from fitwright.perf.llm.formats import Format
from fitwright.records.estimate import Estimate, NoData
from fitwright.validate.case import Case, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains.llm_setup import (
    DERIVED_SPREAD,
    format_of,
    parallel_of,
    precision_of,
    shape_of,
)

FORMULA_SPREAD = 1.02
"""Counted from the published shape; engines round to blocks of 16 to 64 tokens."""
KV_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8": 1.0, "int8": 1.0}


def predict_llm_memory(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Bytes of one device of the group: the cache, or the weights where the metric says so."""
    shape = shape_of(case)
    if isinstance(shape, NoData):
        return shape
    form = _format(case, knowledge)
    if isinstance(form, NoData):
        return form
    tp, pp = parallel_of(case)
    if "weight" in case.metric.lower() or "model" in case.metric.lower():
        value = counts.weight_bytes(shape, form) / tp / pp
    else:
        heads = 1 if shape.kv_rank else shape.num_kv_heads
        tokens = _tokens(case)
        value = tokens * counts.kv_bytes_per_token(shape, form) / min(tp, heads) / pp
    spread = FORMULA_SPREAD * (DERIVED_SPREAD if shape.derived else 1.0)
    why = (f"counted from the {shape.source}" if shape.source else "counted from the shape",)
    return estimate(value, unit="B", rung="device", spread=spread, reasons=why)


def _format(case: Case, knowledge: Knowledge) -> Format | NoData:
    """The cache has 16 bits where the case does not say otherwise."""
    form = format_of(precision_of(case), sheet=knowledge.sheet)
    if isinstance(form, NoData):
        return form
    said = read.dtype(case.inputs, "kv_cache_dtype", "kv_dtype", "cache_dtype")
    return replace(form, kv_bytes=KV_BYTES.get(said, form.kv_bytes))


def _tokens(case: Case) -> float:
    """Of all sequences; one token where nothing is said."""
    total = read.number(case.inputs, "tokens", "num_tokens", "cache_tokens")
    if total:
        return total
    batch = read.number(case.inputs, "batch", "batch_size", "concurrency") or 1.0
    asked = read.number(case.inputs, "context", "seq_len", "isl", "input_len") or 1.0
    return batch * (asked + (read.number(case.inputs, "osl", "output_len") or 0.0))
