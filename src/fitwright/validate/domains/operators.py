"""Cases of single operators: products, products of few rows, attentions."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.perf.operators import decode_work, gemm_work, operator_time, prefill_work
from fitwright.perf.work import Work
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.sheet import Sheet
from fitwright.validate.case import Case, Inputs, Knowledge

DTYPES: Mapping[str, str] = {
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "fp16": "float16",
    "float16": "float16",
    "half": "float16",
    "fp32": "float32",
    "float32": "float32",
    "float": "float32",
    "tf32": "tf32",
    "fp64": "float64",
    "float64": "float64",
    "fp8": "float8",
    "float8": "float8",
    "fp8_e4m3": "float8",
    "float8_e4m3fn": "float8",
    "e4m3": "float8",
    "fp8_static": "float8",
    "int8": "int8",
    "w8a8": "int8",
    "sq": "int8",
    "smoothquant": "int8",
    "int4": "int4",
    "nvfp4": "float4",
    "fp4": "float4",
    "mxfp4": "float4",
    "float4": "float4",
}
"""How tables of measurements spell the dtype of a product, and the catalogue's name."""

WEIGHT_ONLY: Mapping[str, str] = {
    "int8_wo": "int8",
    "w8a16": "int8",
    "int8_weight_only": "int8",
    "int4_wo": "int4",
    "w4a16": "int4",
    "int4_weight_only": "int4",
    "awq": "int4",
    "gptq": "int4",
    "fp8_wo": "float8",
}
"""Spellings of products whose weights alone are narrow; the arithmetic is 16 bits wide."""

BLOCK_SCALED = ("fp8_block", "fp8_blockwise", "float8_block")
WIDE = ("bfloat16", "float16")


def _first(inputs: Inputs, *names: str) -> object | None:
    lowered = {k.lower(): v for k, v in inputs.items()}
    return next((lowered[n] for n in names if lowered.get(n) is not None), None)


def _whole(inputs: Inputs, *names: str, default: int | None = None) -> int | NoData:
    found = _first(inputs, *names)
    if found is None:
        return NoData(reason=f"the case does not say {names[0]}") if default is None else default
    try:
        value = int(float(str(found)))
    except ValueError:
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
    name = spelled.lower().removeprefix("torch.").replace("-", "_")
    if name in WEIGHT_ONLY:
        return gemm_work(m=m, n=n, k=k, dtype=_wide_dtype(sheet), weight_dtype=WEIGHT_ONLY[name])
    if name in BLOCK_SCALED and "float8" in sheet.peaks:
        return gemm_work(m=m, n=n, k=k, dtype="float8", scaling="block")
    dtype = "float8" if name in BLOCK_SCALED else DTYPES.get(name)
    if dtype is None:
        known = ", ".join(sorted((*DTYPES, *WEIGHT_ONLY, *BLOCK_SCALED)))
        return NoData(reason=f"unknown dtype {spelled!r} of a product; known: {known}")
    if dtype == "float8" and "float8" not in sheet.peaks:
        return gemm_work(m=m, n=n, k=k, dtype=_wide_dtype(sheet), weight_dtype="float8")
    return gemm_work(m=m, n=n, k=k, dtype=dtype)


def _answered(work: Work | NoData, knowledge: Knowledge) -> Estimate | NoData:
    if isinstance(work, NoData):
        return work
    found = operator_time(work, knowledge.sheet, knowledge.evidence)
    return found if isinstance(found, NoData) else found.time


def predict_gemm(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one product."""
    sides = [_whole(case.inputs, side) for side in ("m", "n", "k")]
    missing = [s for s in sides if isinstance(s, NoData)]
    if missing:
        return missing[0]
    m, n, k = (max(int(s), 1) for s in sides if isinstance(s, int))
    spelled = _first(case.inputs, "gemm_dtype", "dtype", "precision", "quantization")
    work = gemm_case_work(str(spelled or "bfloat16"), m=m, n=n, k=k, sheet=knowledge.sheet)
    return _answered(work, knowledge)


def attention_case_work(inputs: Inputs, sheet: Sheet, *, decode: bool) -> Work | NoData:
    """The attention that a table of measurements names."""
    heads = _whole(inputs, "num_heads", "n_heads", "heads", "num_attention_heads")
    numbers = {
        "batch": _whole(inputs, "batch_size", "batch", "b", default=1),
        "queries": _whole(inputs, "isl", "seq_len", "sequence_length", "s", default=1),
        "past": _whole(inputs, "step", "past", "past_len", "kv_len", "context", default=0),
        "num_heads": heads,
        "num_kv_heads": _whole(
            inputs, "num_key_value_heads", "num_kv_heads", "kv_heads", "n_kv_heads", default=0
        ),
        "head_dim": _whole(inputs, "head_dim", "head_size", "d", default=128),
    }
    missing = [v for v in numbers.values() if isinstance(v, NoData)]
    if missing:
        return missing[0]
    num = {k: v for k, v in numbers.items() if isinstance(v, int)}
    dtype, kv_dtype = _attention_dtypes(inputs, sheet)
    shared = {
        "batch": max(num["batch"], 1),
        "num_heads": max(num["num_heads"], 1),
        "num_kv_heads": num["num_kv_heads"] or max(num["num_heads"], 1),
        "head_dim": max(num["head_dim"], 1),
    }
    if decode:
        context = max(num["queries"] + num["past"], 1)
        return decode_work(context=context, dtype=dtype, kv_dtype=kv_dtype, **shared)
    return prefill_work(
        queries=max(num["queries"], 1),
        past=num["past"],
        causal=str(_first(inputs, "causal")).lower() not in ("false", "0"),
        dtype=dtype,
        kv_dtype=kv_dtype,
        **shared,
    )


def _attention_dtypes(inputs: Inputs, sheet: Sheet) -> tuple[str, str]:
    """Of the arithmetic and of the cache; a narrow cache alone leaves the arithmetic wide."""
    spelled = _first(inputs, "attn_dtype", "dtype", "precision")
    cache = _first(inputs, "kv_cache_dtype", "kv_dtype")
    dtype = DTYPES.get(str(spelled).lower(), "") or _wide_dtype(sheet)
    return dtype, DTYPES.get(str(cache).lower(), "") or dtype


def predict_prefill(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one attention of many queries."""
    return _answered(attention_case_work(case.inputs, knowledge.sheet, decode=False), knowledge)


def predict_decode(case: Case, knowledge: Knowledge) -> Estimate | NoData:
    """Seconds of one attention of a new token per sequence."""
    return _answered(attention_case_work(case.inputs, knowledge.sheet, decode=True), knowledge)
