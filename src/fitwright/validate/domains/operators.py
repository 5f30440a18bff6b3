"""Cases of single operators: products, products of few rows, attentions."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from fitwright.perf.operators import decode_work, gemm_work, operator_time, prefill_work
from fitwright.perf.work import Work
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Inputs, Knowledge
from fitwright.validate.domains import inputs as read
from fitwright.validate.domains import operator_dtypes as dtypes
from fitwright.validate.domains.latent import latent_attention, latent_sizes, widened
from fitwright.validate.measures import measures

WIDE = ("bfloat16", "float16")
CACHES = ("kv_cache_dtype", "kv_dtype", "cache_dtype", "kv_cache_type")
DTYPE = ("dtype", "precision", "data_type", "quantization")
SIDES = (
    ("m", "rows", "num_tokens", "batch_tokens"),
    ("n", "cols", "columns", "out_features"),
    ("k", "depth", "in_features"),
)
HEADS = ("num_heads", "n_heads", "heads", "num_attention_heads", "num_q_heads", "q_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "kv_heads", "n_kv_heads", "kv_n_heads")
QUERIES = ("isl", "seq_len", "sequence_length", "s", "seq", "input_len", "q_len", "num_queries",
           "prompt_len")  # fmt: skip
PAST = ("step", "past", "past_len", "kv_len", "context", "context_len", "cache_len", "kv_length")
"""What tables call a size, the usual name first."""


def first(inputs: Inputs, *names: str) -> object | None:
    """The first of these inputs that is given, in whatever case its name is written."""
    plain = {read.letters(k): v for k, v in inputs.items() if v is not None}
    return next((plain[x] for x in map(read.letters, names) if x in plain), None)


def whole(inputs: Inputs, *names: str, default: int | None = None) -> int | NoData:
    """The first of these inputs that is given, a whole number of 0 or more."""
    found = first(inputs, *names)
    if found is None:
        return NoData(reason=f"the case does not say {names[0]}") if default is None else default
    try:
        value = int(float(re.sub(r"(?<=\d),(?=\d{3}\b)", "", str(found))))
    except (ValueError, OverflowError):
        return NoData(reason=f"{names[0]} must be a whole number, got {found!r}")
    return value if value >= 0 else NoData(reason=f"{names[0]} must not be negative, got {value}")


def _wide_dtype(sheet: Sheet) -> str:
    """The 16-bit dtype of the arithmetic where weights alone are narrow."""
    return next((d for d in WIDE if d in sheet.peaks), "float32")


def gemm_case_work(spelled: str, *, m: int, n: int, k: int, sheet: Sheet) -> Work | NoData:
    """The product that a table of measurements names.

    A device without a fast path for float8 keeps float8 weights and multiplies them in 16
    bits, as vLLM and others do there; int8 and float4 without a fast path are refused later.
    """
    if narrow := dtypes.narrow_weights(spelled):
        return gemm_work(m=m, n=n, k=k, dtype=_wide_dtype(sheet), weight_dtype=narrow)
    if dtypes.is_block_scaled(spelled) and "float8" in sheet.peaks:
        return gemm_work(m=m, n=n, k=k, dtype="float8", scaling="block")
    dtype = dtypes.arithmetic(spelled)
    if dtype is None:
        known = dtypes.spellings()
        return NoData(reason=f"unknown dtype {spelled!r} of a product; known: {known}")
    if dtype == "float8" and "float8" not in sheet.peaks:
        return gemm_work(m=m, n=n, k=k, dtype=_wide_dtype(sheet), weight_dtype="float8")
    return gemm_work(m=m, n=n, k=k, dtype=dtype)


def answered(work: Work | NoData, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one operator, or why there are none."""
    if isinstance(work, NoData):
        return work
    found = operator_time(work, knowledge.sheet, knowledge.evidence)
    return found if isinstance(found, NoData) else found.time


def as_asked(time: Estimate | NoData, work: Work | NoData, case: Case) -> Estimate | NoData:
    """Seconds; or what was done in them a second, where the unit asks for TFLOP/s or GB/s."""
    if isinstance(time, NoData) or isinstance(work, NoData):
        return time
    done = {"arithmetic a second": work.flops, "bytes a second": work.bytes_moved}
    amount = done.get(measures(case.unit) or "")
    if amount is None:
        return time
    return time.model_copy(
        update={
            "value": amount / time.value,
            "low": amount / time.high,
            "high": amount / time.low,
            "unit": case.unit,
        }
    )


def predict_gemm(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one product, of a batch of them, or of one per group of rows.

    ``batch``: products of that shape. ``num_groups`` or ``num_experts``: weights among which
    the ``m`` rows are dealt evenly.
    """
    sides = [whole(case.inputs, *names) for names in SIDES]
    batch = whole(case.inputs, "batch", "batch_size", "num_batches", "b", default=1)
    groups = whole(case.inputs, "num_groups", "groups", "num_experts", "experts", default=1)
    missing = [s for s in (*sides, batch, groups) if isinstance(s, NoData)]
    if missing:
        return missing[0]
    m, n, k, num, dealt = (max(int(s), 1) for s in (*sides, batch, groups) if isinstance(s, int))
    busy = min(dealt, m)
    spelled = first(case.inputs, "gemm_dtype", *DTYPE)
    work = gemm_case_work(
        str(spelled or "bfloat16"), m=math.ceil(m / busy), n=n, k=k, sheet=knowledge.sheet
    )
    if isinstance(work, Work) and num * busy > 1:
        work = _repeated(work, num * busy, grouped=busy > 1)
    return as_asked(answered(work, knowledge), work, case)


def _repeated(work: Work, times: int, *, grouped: bool) -> Work:
    """So many independent products of that shape in one launch."""
    return replace(
        work,
        operator_class="grouped_gemm" if grouped else work.operator_class,
        flops=times * work.flops,
        bytes_moved=times * work.bytes_moved,
        num_batches=times * work.num_batches,
    )


def attention_case_work(inputs: Inputs, sheet: Sheet, *, decode: bool) -> Work | NoData:
    """The attention that a table of measurements names.

    An operator timed alone is run again and again: a cache that fits on chip is found there.
    """
    if first(inputs, *QUERIES) is None and not (decode and first(inputs, *PAST) is not None):
        return NoData(reason=f"the case does not say {'step' if decode else 'isl'}")
    numbers = {
        "batch": whole(inputs, "batch_size", "batch", "b", "bs", "num_seqs", default=1),
        "queries": whole(inputs, *QUERIES, default=1),
        "past": whole(inputs, *PAST, default=0),
        "num_heads": whole(inputs, *HEADS),
        "num_kv_heads": whole(inputs, *KV_HEADS, default=0),
        "head_dim": whole(inputs, "head_dim", "head_size", "d", "dim_head", default=128),
    }
    missing = [v for v in numbers.values() if isinstance(v, NoData)]
    if missing:
        return missing[0]
    num = {k: v for k, v in numbers.items() if isinstance(v, int)}
    named = _attention_dtypes(inputs, sheet)
    if isinstance(named, NoData):
        return named
    dtype, kv_dtype = named
    if (latent := latent_sizes(inputs)) is not None:
        return latent_attention(num, latent, decode=decode, dtypes=(dtype, kv_dtype))
    shared = {
        "batch": max(num["batch"], 1),
        "num_heads": max(num["num_heads"], 1),
        "num_kv_heads": num["num_kv_heads"] or max(num["num_heads"], 1),
        "head_dim": max(num["head_dim"], 1),
    }
    if decode:
        context = max(num["queries"] + num["past"], 1)
        work = decode_work(context=context, dtype=dtype, kv_dtype=kv_dtype, **shared)
        return replace(work, working_set_bytes=work.bytes_moved)
    return prefill_work(
        queries=max(num["queries"], 1),
        past=num["past"],
        causal=str(first(inputs, "causal")).lower() not in ("false", "0"),
        dtype=dtype,
        kv_dtype=kv_dtype,
        **shared,
    )


def _attention_dtypes(inputs: Inputs, sheet: Sheet) -> tuple[str, str] | NoData:
    """Of the arithmetic and of the cache; a narrow cache alone leaves the arithmetic wide."""
    said, cache = first(inputs, "attn_dtype", *DTYPE), first(inputs, *CACHES)
    dtype = dtypes.arithmetic(str(said)) if said else _wide_dtype(sheet)
    kept = dtype if cache in (None, "", "auto") else dtypes.arithmetic(str(cache))
    if dtype is None or kept is None:
        wrong = said if dtype is None else cache
        known = dtypes.spellings()
        return NoData(reason=f"unknown dtype {wrong!r} of an attention; known: {known}")
    return dtype, kept


def predict_prefill(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one attention of many queries."""
    work = attention_case_work(case.inputs, knowledge.sheet, decode=False)
    return as_asked(_attention(case, knowledge, decode=False), work, case)


def predict_decode(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one attention of a new token per sequence."""
    work = attention_case_work(case.inputs, knowledge.sheet, decode=True)
    return as_asked(_attention(case, knowledge, decode=True), work, case)


def _attention(case: Case, knowledge: Knowledge, *, decode: bool) -> Estimate | NoData:
    """A case that does not say its cache has one as wide as the arithmetic.

    The band then reaches to a float8 cache where this device was measured with one: on Arc
    Pro B60 prefill takes 4 times as long.
    """
    plain = answered(attention_case_work(case.inputs, knowledge.sheet, decode=decode), knowledge)
    if isinstance(plain, Estimate) and latent_sizes(case.inputs) is not None:
        return widened(plain)
    if isinstance(plain, NoData) or first(case.inputs, *CACHES) is not None:
        return plain
    inputs = {**case.inputs, "kv_cache_dtype": "fp8"}
    other = answered(attention_case_work(inputs, knowledge.sheet, decode=decode), knowledge)
    measured = any(
        e.scope == knowledge.sheet.id and e.what.startswith("attention") and "/" in e.dtype
        for e in knowledge.evidence
    )
    if isinstance(other, NoData) or not measured:
        return plain
    said = "the case does not say the cache's dtype: the band reaches from wide to float8"
    return _spanning(plain, other, said)


def _spanning(of: Estimate, other: Estimate, why: str) -> Estimate:
    """The estimate with a band that holds the other's too."""
    return of.model_copy(
        update={
            "low": min(of.low, other.low),
            "high": max(of.high, other.high),
            "reasons": (*of.reasons, why),
        }
    )
