"""Constants of devices nobody swept: cited or assumed, each with a wide band that says so.

Cited: the best share of the peak that a search over matrix products found (stas00/ml-engineering,
"maximum achievable matmul FLOPS": MI300X 0.51, Gaudi2 0.97); what GPUs share with bfloat16.
Assumed (``assumed``): everything else. A user's calibration replaces either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = dict[str, object]

ASSUMED = "assumed, no sweep of this kind of device was published; band by a factor of about 2"
MLENG = "stas00/ml-engineering, maximum achievable matmul FLOPS (best of many shapes)"

# kind: (floor in seconds, share of compute, of bandwidth, band as a factor)
KINDS: Mapping[str, tuple[float, float, float, float]] = {
    "gpu": (6e-6, 0.72, 0.76, 1.8),
    "cpu": (5e-6, 0.65, 0.70, 2.0),
    "tpu": (5e-6, 0.65, 0.75, 1.8),
    "npu": (2e-5, 0.40, 0.60, 2.2),
    "asic": (1e-5, 0.60, 0.70, 2.2),
    "fpga": (2e-5, 0.40, 0.60, 2.2),
}
DTYPES = (
    "float64", "float32", "tf32", "bfloat16", "float16", "float8", "int8", "int4", "float4",
    "bfloat16/int8", "bfloat16/int4", "bfloat16/float8", "float16/int8", "float16/int4",
    "float16/float8", "float32/int8", "float32/int4",
)  # fmt: skip
ATTENTION_DTYPES = ("float32", "tf32", "bfloat16", "float16", "float8", "int8")
PADS: Mapping[str, Mapping[str, float]] = {
    "tpu": {"pad_m": 8, "pad_n": 128, "pad_k": 128},
    "npu": {"pad_n": 16, "pad_k": 16},
    "cpu": {"pad_n": 16},
}
"""Widths that the sides of a product are padded to (128 x 128 systolic arrays; 16 lanes)."""

NARROW_RATE: Mapping[str, float] = {"float8": 0.8, "int8": 0.8, "int4": 0.6, "float4": 0.55}
"""Share that is left of the 16-bit one: narrow products wait more for their operands."""


def row(what: str, dtype: str, rung: str, scope: str, **rest: object) -> Row:
    return {"what": what, "dtype": dtype, "rung": rung, "scope": scope, **rest}


def gemm_rows(fitted: Sequence[Row]) -> list[Row]:
    """Kinds without a sweep, vendors with one cited figure, and operators that move bytes."""
    taken = {(r["dtype"], r["rung"], r["scope"]) for r in fitted}
    rows = [*_twins(fitted), *_vendors(fitted)]
    taken |= {(r["dtype"], r["rung"], r["scope"]) for r in rows}
    for kind, (floor, compute, bandwidth, spread) in KINDS.items():
        for dtype in DTYPES:
            if (dtype, "kind", kind) in taken:
                continue
            share = round(compute * NARROW_RATE.get(dtype, 1.0), 4)
            constants = {
                "floor_s": floor, "compute_share": share, "bandwidth_share": bandwidth,
                "softness": 3.0, **PADS.get(kind, {}),
            }  # fmt: skip
            rows.append(
                row("gemm", dtype, "kind", kind, constants=constants, spread=spread,
                    num_points=0, source=ASSUMED)
            )  # fmt: skip
    return [*rows, *memory_rows()]


def memory_rows() -> list[Row]:
    """Operators whose bytes decide; on-chip: what last caches give over the memory, roughly."""
    onchip = {"gpu": 2.0, "cpu": 3.0}
    return [
        row("memory", "", "kind", kind, spread=spread, num_points=0, source=ASSUMED,
            constants={"floor_s": floor, "bandwidth_share": bandwidth,
                       **({"onchip": onchip[kind]} if kind in onchip else {})})
        for kind, (floor, _, bandwidth, spread) in KINDS.items()
    ]  # fmt: skip


UNTRIED = 1.35
"""By what factor a band widens on float16-only devices (T4, V100, Apple): none was swept, and
the small ones are held back by their power."""


def _twins(fitted: Sequence[Row]) -> list[Row]:
    """float16 on the same units as bfloat16, for devices that have no bfloat16 to borrow from."""
    return [
        {**r, "dtype": str(r["dtype"]).replace("bfloat16", "float16"),
         "spread": round(UNTRIED * float(str(r["spread"])), 3),
         "source": f"bfloat16 figures; {r['source']}"}
        for r in fitted
        if str(r["dtype"]).startswith("bfloat16") and r["rung"] in ("family", "kind")
    ]  # fmt: skip


def _vendors(fitted: Sequence[Row]) -> list[Row]:
    """One cited best share each; the floor and the bandwidth as of GPUs at large."""
    (gpu,) = (r for r in fitted if (r["dtype"], r["rung"]) == ("bfloat16", "kind"))
    fitted_of = gpu["constants"]
    assert isinstance(fitted_of, dict)
    shared = {k: v for k, v in fitted_of.items() if not k.endswith("_band")}
    rows = [
        row("gemm", dtype, "family", "amd-gpu", constants=shared, num_points=1, spread=1.6,
            curve=[[8.0, 0.48], [13.0, 0.48]], source=f"{MLENG}: MI300X 0.51; rest as GPUs")
        for dtype in ("bfloat16", "float16")
    ]  # fmt: skip
    constants = {"floor_s": 1e-5, "compute_share": 0.88, "bandwidth_share": 0.75, "softness": 3.0}
    rows.append(
        row("gemm", "bfloat16", "family", "intel-gaudi", constants=constants, num_points=1,
            spread=1.6, source=f"{MLENG}: Gaudi2 0.97; the rest assumed")
    )  # fmt: skip
    return rows


def attention_rows(fitted: Sequence[Row]) -> list[Row]:
    """Attention where nobody swept it: behind products by what GPUs lose."""
    rows = _twins(fitted)
    taken = {(r["what"], r["dtype"], r["scope"]) for r in (*fitted, *rows) if r["rung"] == "kind"}
    for kind, (floor, compute, bandwidth, spread) in KINDS.items():
        for dtype in ATTENTION_DTYPES:
            prefill = {
                "floor_s": 2 * floor, "compute_share": round(0.75 * compute, 4), "diagonal": 64.0,
                "bandwidth_share": round(0.6 * bandwidth, 4), "softness": 1.3,
            }  # fmt: skip
            decode = {
                "floor_s": 2 * floor, "compute_share": round(0.4 * compute, 4),
                "bandwidth_share": round(0.85 * bandwidth, 4), "softness": 3.0,
            }  # fmt: skip
            for what, constants in (("attention_prefill", prefill), ("attention_decode", decode)):
                if (what, dtype, kind) not in taken:
                    rows.append(
                        row(what, dtype, "kind", kind, constants=constants,
                            spread=spread, num_points=0, source=ASSUMED)
                    )  # fmt: skip
    return rows
