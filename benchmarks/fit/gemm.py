"""Fits the constants of matrix products from published sweeps; run by hand.

    python benchmarks/fit/gemm.py --data ../shared/data/published

Writes `src/fitwright/catalog/constants/gemm.yaml` and prints what the fits reach on rows they
did not see. Two kinds of devices: those with a sweep (each shape is the geometric mean over the
frameworks measured; block-scaled float8 of vLLM is left out, its fallback takes 58-290 us per
call) and those of which only quantiles of the utilisation were published (floor, products of
few rows, middle and large ones: ten figures, fitted as quantiles over the same shapes).
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import operator_priors as by_hand
from operator_bands import Bands, Found, banded, found_of, joined
from operator_fit import (
    Free,
    Shape,
    Sweep,
    by_constants,
    columns_of,
    every,
    evidence_row,
    fit_sweep,
    fitted,
    fold_errors,
    machine_of,
    paced,
    pooled,
    predicted_s,
    said,
    sweep_of,
    write,
)

from fitwright.catalog.sheets import find_sheet
from fitwright.perf.operators.formulas import product_parts
from fitwright.perf.operators.lookup import evidence_dtype
from fitwright.perf.operators.table import Columns, tabulate
from fitwright.perf.work import Work
from fitwright.records.sheet import Sheet
from fitwright.validate.domains.operators import gemm_case_work

OUT = Path("src/fitwright/catalog/constants/gemm.yaml")
SYSTEMS = {"a100_sxm": "a100-80-sxm", "h100_sxm": "h100-sxm", "b60": "arc-pro-b60"}
SOURCE = "ai-dynamo/aiconfigurator GEMM sweeps (SGLang, TensorRT-LLM, vLLM)"
PRIORS = "quantiles of utilisation in ai-dynamo/aiconfigurator GEMM sweeps"
MS = (1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)

FREE = {
    "floor_s": Free(1e-6, 3e-4, 6e-6, log=True),
    "bandwidth_share": Free(0.1, 1.0, 0.75),
    "wave": Free(0.0, 1.2, 0.5),
    "softness": Free(1.0, 24.0, 4.0, log=True),
}
QUANTISE = {"quantise": Free(1e-3, 30.0, 0.5, log=True)}
KNOTS = (8.0, 10.0, 13.0)
KEPT_OUT = 250
"""One row of so many goes to the published table and its shape into no fit."""
FEWEST = 200


def shape_of(dtype: str) -> Shape:
    """The constants that a dtype has; narrow activations are quantised on their way in."""
    narrow = dtype.split("/")[0].split(":")[0] in ("float8", "float4", "int8")
    return Shape(formula=product_parts, free={**FREE, **(QUANTISE if narrow else {})}, knots=KNOTS)


def read(data: Path) -> list[Mapping[str, str]]:
    """Rows of the sweeps, without the slow fallback of block-scaled float8."""
    with (data / "gemm_measured_aic.csv").open() as file:
        found = list(csv.DictReader(file))
    return [r for r in found if r["gemm_dtype"] != "fp8_block" or r["framework"] != "VLLM"]


def identity(row: Mapping[str, str]) -> tuple[str, ...]:
    """Device, dtype and shape: what a row kept for the published table takes out of the fits."""
    return tuple(row[x] for x in ("system", "gemm_dtype", "m", "n", "k"))


def sweeps(data: Path) -> list[Sweep]:
    """The measured sweeps by device and dtype."""
    found: dict[tuple[str, str], dict[Work, list[float]]] = defaultdict(lambda: defaultdict(list))
    rows = read(data)
    kept_out = {identity(row) for row in every(rows, KEPT_OUT)}
    for row in rows:
        if identity(row) not in kept_out:
            sheet = find_sheet(SYSTEMS[row["system"]])
            m, n, k = (int(row[x]) for x in "mnk")
            work = gemm_case_work(row["gemm_dtype"], m=m, n=n, k=k, sheet=sheet)
            assert isinstance(work, Work), work
            (group,) = tabulate([work]).groups
            found[sheet.id, evidence_dtype(group)][work].append(float(row["latency_ms"]) / 1e3)
    return [sweep_of(find_sheet(device), dtype, of) for (device, dtype), of in found.items()]


@dataclass(frozen=True)
class Quantiles:
    """What was published of one device and dtype in place of a sweep.

    Attributes:
        floor_s: the second percentile of the time.
        shares: (which products, quantile, share of the roofline).
    """

    sheet: Sheet
    dtype: str
    spelled: str
    floor_s: float
    shares: tuple[tuple[str, float, float], ...]


BLOCKS = {
    "few": ("util_gemv_m_le_16_median", "p10", "p90"),
    "middle": ("util_mid_m256_1024_median", "mid_p10", "mid_p90"),
    "large": ("util_large_m_ge_4096_median", "large_p10", "large_p90"),
}
SIZES = (
    (2048, 2048), (2560, 8192), (3072, 3072), (4096, 4096), (4096, 12288), (4096, 16384),
    (5120, 5120), (6144, 4096), (7168, 8192), (8192, 3584), (8192, 7168), (8192, 8192),
    (10240, 8192), (12288, 4096), (16384, 4096), (16384, 16384), (51200, 5120), (65536, 4096),
)  # fmt: skip
"""Columns and depth of the swept weights with both sides of at least 2,048."""
SMALL = (
    (256, 4096), (512, 7168), (768, 768), (768, 3072), (1024, 1024), (1536, 7168), (3072, 768),
    (5120, 1536), (8192, 1024),
)  # fmt: skip


def published(data: Path) -> list[Quantiles]:
    """The quantiles of every device and dtype, frameworks by their median."""
    found: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    with (data / "utilisation_priors_gemm.csv").open() as file:
        for row in csv.DictReader(file):
            slow = row["dtype"] == "fp8_block" and row["framework"] == "VLLM"
            few = int(row["n"]) < FEWEST  # quantiles over shapes that are not stated
            if not slow and not few and row["util_large_m_ge_4096_median"]:
                found[row["device_id"], row["dtype"]].append(row)
    return [_quantiles(device, dtype, rows) for (device, dtype), rows in found.items()]


def _quantiles(device: str, spelled: str, rows: Sequence[Mapping[str, str]]) -> Quantiles:
    sheet = find_sheet(device)
    work = gemm_case_work(spelled, m=1, n=1, k=1, sheet=sheet)
    assert isinstance(work, Work), (device, spelled, work)
    shares = []
    for block, names in BLOCKS.items():
        for name, quantile in zip(names, (0.5, 0.1, 0.9), strict=True):
            values = [float(r[name]) for r in rows if r[name]]
            if values:
                shares.append((block, quantile, statistics.median(values)))
    (group,) = tabulate([work]).groups
    return Quantiles(
        sheet=sheet,
        dtype=evidence_dtype(group),
        spelled=spelled,
        floor_s=statistics.median(float(r["floor_us_p2"]) for r in rows) / 1e6,
        shares=tuple(shares),
    )


def _grid(of: Quantiles, ms: Iterable[int], sizes: Iterable[tuple[int, int]]) -> Columns:
    works = [
        gemm_case_work(of.spelled, m=m, n=n, k=k, sheet=of.sheet) for m in ms for n, k in sizes
    ]
    return columns_of([w for w in works if isinstance(w, Work)])


def fit_quantiles(of: Quantiles, prior: Mapping[str, float]) -> dict[str, float]:
    """Constants whose quantiles over the swept shapes are the published ones."""
    machine = machine_of(of.sheet, of.dtype.split("/")[0].split(":")[0])
    narrow = {"float4": 0.5, "int4": 0.5, "float8": 1, "int8": 1}
    last = of.dtype.split(":")[0].split("/")[-1]
    heavy = [s for s in SIZES if s[0] * s[1] * narrow.get(last, 2) >= 60e6]
    grids = {
        "few": _grid(of, [m for m in MS if m <= 16], heavy),
        "middle": _grid(of, (256, 512, 1024), SIZES),
        "large": _grid(of, (4096, 8192, 16384), SIZES),
    }
    every = _grid(of, MS, (*SIZES, *SMALL))
    shape = shape_of(of.dtype)

    def misses(constants: Mapping[str, float]) -> np.ndarray:
        times = predicted_s(constants, shape.formula, every, machine)
        out = [math.log(np.quantile(times, 0.02) / of.floor_s)]
        for block, quantile, share in of.shares:
            columns = grids[block]
            times = predicted_s(constants, shape.formula, columns, machine)
            ideal = np.maximum(
                columns.flops / machine.flop_per_s,
                columns.bytes_moved / machine.bandwidth_bytes_per_s,
            )
            out.append(math.log(np.quantile(ideal / times, quantile) / share))
        return np.array(out)

    return fitted(shape, misses, prior=prior, pull=PULL)


PULL = 0.1
"""How firmly quantiles that say little about a constant leave it at the other devices' value."""

Fits = dict[tuple[str, str], dict[str, float]]
"""Constants by device and dtype."""


def quantile_fits(of: Sequence[Quantiles], own: Fits) -> Fits:
    """Each device's constants from its quantiles, the rest from other architectures' sweeps."""
    found: Fits = {}
    for q in of:
        names = shape_of(q.dtype).names()
        others = {k: v for k, v in own.items() if _foreign(k[0], q.sheet) and [*v] == names}
        near = [v for (_, dtype), v in others.items() if dtype == q.dtype]
        prior = pooled(near or list(others.values()) or [v for v in own.values() if [*v] == names])
        found[q.sheet.id, q.dtype] = fit_quantiles(q, prior)
    return found


def _foreign(device: str, sheet: Sheet) -> bool:
    return find_sheet(device).architecture != sheet.architecture


def pool_of(
    fits: Fits, dtype: str, rung: str, keep: Callable[[Sheet], bool]
) -> list[dict[str, float]]:
    """Constants of the devices kept; floors as cycles, but for a kind: vendors start work in
    ways that have little to do with the clock."""
    found = [(find_sheet(d), v) for (d, t), v in fits.items() if t == dtype]
    return [v if rung == "kind" else paced(v, s) for s, v in found if keep(s)]


def unseen(sweep: Sweep, fits: Fits) -> tuple[str, Found] | None:
    """A sweep answered as if its whole architecture had never been measured."""
    sheet = sweep.sheet
    shape = shape_of(sweep.dtype)
    for rung, keep in (
        ("family", lambda s: s.family == sheet.family and s.architecture != sheet.architecture),
        ("kind", lambda s: s.kind == sheet.kind and s.architecture != sheet.architecture),
    ):
        if pool := pool_of(fits, sweep.dtype, rung, keep):
            return rung, found_of(sweep, by_constants(sweep, shape, pooled(pool)))
    return None


Spreads = Mapping[tuple[str, bool], Bands]
"""Bands found on held-out rows: by rung, and whether all is 16 bits wide. Narrow dtypes have
several ways through each framework, and spread further."""


def held_out(
    of: Sequence[Sweep], own: Fits, by_quantiles: Fits
) -> tuple[Mapping[tuple[str, str], Bands], Spreads]:
    """Prints every held-out error; answers the bands of sweeps and of the wider rungs."""
    folds: dict[tuple[str, str], Bands] = {}
    everything = {**by_quantiles, **own}
    wide: dict[tuple[str, bool], list[Found]] = defaultdict(list)
    for sweep in of:
        key, shape = (sweep.sheet.id, sweep.dtype), shape_of(sweep.dtype)
        found = {"own shapes": found_of(sweep, fold_errors(sweep, shape))}
        folds[key] = found["own shapes"].bands()
        if key in by_quantiles:
            told = by_constants(sweep, shape, by_quantiles[key])
            found["quantiles"] = found_of(sweep, told)
        if sisters := pool_of(everything, sweep.dtype, "architecture", _sister_of(sweep.sheet)):
            told = by_constants(sweep, shape, pooled(sisters))
            found["architecture"] = found_of(sweep, told)
        if answer := unseen(sweep, everything):
            found[answer[0]] = answer[1]
        for rung, seen in found.items():
            print(f"{rung:12} {key[0]:12} {key[1]:16} {said(seen.predicted, seen.measured)}")
            wide[rung, sweep.dtype == "bfloat16"].append(seen)
    return folds, _spreads(wide)


def _sister_of(sheet: Sheet) -> Callable[[Sheet], bool]:
    return lambda s: s.architecture == sheet.architecture and s.id != sheet.id


def _spreads(wide: Mapping[tuple[str, bool], Sequence[Found]]) -> Spreads:
    """No wider rung is trusted more than a nearer one, and a kind with one witness less."""
    found: dict[tuple[str, bool], Bands] = {}
    for is_wide in (True, False):
        least = Bands()
        for rung in ("quantiles", "architecture", "family", "kind"):
            if seen := wide.get((rung, is_wide)):
                least = least.at_least(joined(seen).bands())
                inside = [f.covered(least) for f in seen]
                print(f"band of {rung}, 16 bits: {is_wide}: {least} covers {inside}")
            found[rung, is_wide] = least
    return found


def device_rows(
    of: Sequence[Sweep],
    own: Fits,
    by_quantiles: Fits,
    folds: Mapping[tuple[str, str], Bands],
    spreads: Spreads,
) -> list[dict[str, object]]:
    """Devices with a sweep, then those of which quantiles were published."""
    rows = [
        evidence_row(
            what="gemm", dtype=s.dtype, rung="device", scope=s.sheet.id,
            taken=banded(own[s.sheet.id, s.dtype], folds[s.sheet.id, s.dtype]),
            spread=folds[s.sheet.id, s.dtype].all,
            num_points=len(s.rows), source=SOURCE,
        )
        for s in of
    ]  # fmt: skip
    return rows + [
        evidence_row(
            what="gemm", dtype=dtype, rung="device", scope=device, taken=banded(taken, bands),
            spread=bands.all, num_points=10, source=PRIORS,
        )
        for (device, dtype), taken in by_quantiles.items()
        if (device, dtype) not in own
        for bands in (spreads["quantiles", dtype == "bfloat16"],)
    ]  # fmt: skip


def within(rung: str, scope: str) -> Callable[[Sheet], bool]:
    return lambda sheet: getattr(sheet, rung) == scope


def pooled_rows(fits: Fits, spreads: Spreads) -> list[dict[str, object]]:
    """Architectures, families, and GPUs as a kind: the median of each constant."""
    rows = []
    sheets = [find_sheet(d) for d in {d for d, _ in fits}]
    for rung in ("architecture", "family", "kind"):
        for scope in sorted({getattr(s, rung) for s in sheets}):
            for dtype in sorted({t for _, t in fits}):
                keep = within(rung, scope)
                pool = pool_of(fits, dtype, rung, keep)
                if not pool:
                    continue
                lonely = len(pool) == 1 and rung != "architecture"
                bands = spreads[rung, dtype == "bfloat16"]
                rows.append(
                    evidence_row(
                        what="gemm", dtype=dtype, rung=rung, scope=scope,
                        taken=banded(pooled(pool), bands),
                        spread=bands.all * (1.2 if lonely else 1.0), num_points=len(pool),
                        source=f"median over {len(pool)} devices; {SOURCE}",
                        devices=[d for d, t in fits if t == dtype and keep(find_sheet(d))],
                    )
                )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/published"))
    data = parser.parse_args().data
    of = sweeps(data)
    own = {(s.sheet.id, s.dtype): fit_sweep(s, shape_of(s.dtype)) for s in of}
    by_quantiles = quantile_fits(published(data), own)
    folds, spreads = held_out(of, own, by_quantiles)
    everything = {**by_quantiles, **own}
    rows = [
        *device_rows(of, own, by_quantiles, folds, spreads),
        *pooled_rows(everything, spreads),
    ]
    write(OUT, TITLE, [*rows, *by_hand.gemm_rows(rows)])


TITLE = "Constants of matrix products; written by benchmarks/fit/gemm.py"

if __name__ == "__main__":
    main()
