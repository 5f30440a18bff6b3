"""Fits the constants of attention from published sweeps; run by hand.

    python benchmarks/fit/attention.py --data ../shared/data/published

Writes `src/fitwright/catalog/constants/attention.yaml` and prints what the fits reach on rows
they did not see.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import operator_priors as by_hand
from operator_fit import (
    AT_HZ,
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
    predicted_s,
    said,
    spread_80,
    sweep_of,
    write,
)

from fitwright.catalog.sheets import find_sheet
from fitwright.perf.operators.formulas import decode_parts, prefill_parts
from fitwright.perf.operators.lookup import QUANTISE_PASSES, evidence_dtype
from fitwright.perf.operators.table import tabulate
from fitwright.perf.work import Work
from fitwright.records.sheet import Sheet
from fitwright.validate.domains.operators import attention_case_work

OUT = Path("src/fitwright/catalog/constants/attention.yaml")
SYSTEMS = {"a100_sxm": "a100-80-sxm", "h100_sxm": "h100-sxm", "b60": "arc-pro-b60"}
SOURCE = "ai-dynamo/aiconfigurator attention sweeps (vLLM, FlashAttention 2 and 3)"

SHAPES = {
    "attention_prefill": Shape(
        formula=prefill_parts,
        free={
            "floor_s": Free(1e-6, 3e-4, 1e-5, log=True),
            "bandwidth_share": Free(0.05, 1.0, 0.4),
            "compute_share": Free(0.05, 1.0, 0.6),
            "diagonal": Free(0.0, 256.0, 64.0),
            "softness": Free(1.0, 24.0, 1.5, log=True),
        },
        fixed={"wave": 1.0},
    ),
    "attention_decode": Shape(
        formula=decode_parts,
        free={
            "floor_s": Free(1e-6, 3e-4, 1e-5, log=True),
            "block_s": Free(1e-8, 1e-4, 3e-6, log=True),
            "starving": Free(1e-4, 5.0, 0.1, log=True),
            "softness": Free(1.0, 24.0, 3.0, log=True),
            "onchip": Free(1.0, 4.0, 1.5),
        },
        fixed={"compute_share": 0.5, "onchip_fits": 0.75},
        knots=(14.0, 17.0, 20.0, 23.0),
    ),
}


QUANTISE = {"quantise": Free(1e-3, 10.0, QUANTISE_PASSES, log=True)}


def shape_of(what: str, dtype: str, rung: str = "device") -> Shape:
    """What is fitted: queries are quantised for a narrow cache; sisters share cycles; what a
    cache on chip gives is not carried from one vendor to another."""
    shape = SHAPES[what]
    if "/" in dtype and what == "attention_prefill":
        shape = replace(shape, free={**shape.free, **QUANTISE})
    if rung in ("architecture", "family"):
        shape = replace(shape, fixed={**shape.fixed, "at_hz": AT_HZ})
    if rung == "kind":
        shape = replace(shape, free={k: v for k, v in shape.free.items() if k != "onchip"})
    return shape


KEPT_OUT = 75
"""One row of so many goes to the published table and into no fit."""


def read(data: Path) -> list[Mapping[str, str]]:
    with (data / "attention_measured_aic.csv").open() as file:
        return list(csv.DictReader(file))


def identity(row: Mapping[str, str]) -> tuple[str, ...]:
    """Device, dtypes and shape of a row."""
    names = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim")
    return tuple(row[x] for x in ("system", "phase", "attn_dtype", "kv_cache_dtype", *names))


def sweeps(data: Path) -> list[tuple[str, Sweep]]:
    """(formula, the measured sweep) by device and dtype."""
    found: dict[tuple[str, str, str], dict[Work, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    rows = read(data)
    kept_out = {identity(row) for row in every(rows, KEPT_OUT)}
    for row in rows:
        if identity(row) not in kept_out:
            sheet = find_sheet(SYSTEMS[row["system"]])
            work = attention_case_work(row, sheet, decode=row["phase"] == "generation")
            assert isinstance(work, Work), work
            (group,) = tabulate([work]).groups
            key = (work.operator_class, sheet.id, evidence_dtype(group))
            found[key][work].append(float(row["latency_ms"]) / 1e3)
    return [(what, sweep_of(find_sheet(d), t, of)) for (what, d, t), of in found.items()]


Sweeps = Sequence[tuple[str, Sweep]]


def fit_jointly(of: Sequence[Sweep], shape: Shape) -> dict[str, float]:
    """One set of constants for several devices, each counted alike."""
    columns = [columns_of(s.works) for s in of]
    weights = [len(of[0].works) / len(s.works) for s in of]

    def misses(constants: Mapping[str, float]) -> np.ndarray:
        return np.concatenate(
            [
                w * np.log(predicted_s(constants, shape.formula, c, s.machine) / s.central_s)
                for c, s, w in zip(columns, of, weights, strict=True)
            ]
        )

    return fitted(shape, misses)


def those(of: Sweeps, what: str, dtype: str, keep: Callable[[Sheet], bool]) -> list[Sweep]:
    return [s for w, s in of if w == what and s.dtype == dtype and keep(s.sheet)]


def unseen(of: Sweeps, what: str, sweep: Sweep) -> tuple[str, float] | None:
    """The rung that answers without this architecture, and the band it was found to need.

    A narrow cache is answered by constants of a wide one, as the package does.
    """
    mine, wide = sweep.sheet, sweep.dtype.split("/")[0]
    for rung in ("family", "kind"):
        others = those(
            of, what, wide,
            lambda s, r=rung: getattr(s, r) == getattr(mine, r)
            and s.architecture != mine.architecture,
        )  # fmt: skip
        if others:
            taken = fit_jointly(others, shape_of(what, wide, rung))
            seen = told(sweep, what, taken)
            print(f"{rung:12} {what:18} {mine.id:12} {sweep.dtype:16} {said(*seen)}")
            if sweep.dtype != wide:
                print_narrow(of, what, sweep)
            return rung, spread_80(*seen)
    return None


def told(sweep: Sweep, what: str, taken: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and measured; over a narrow cache as `lookup` answers from a wide one."""
    native = sweep.works[0].weight_dtype in sweep.sheet.peaks
    extra = {"quantise": QUANTISE_PASSES} if native else {}
    return by_constants(sweep, SHAPES[what], {**taken, **extra})


def print_narrow(of: Sweeps, what: str, sweep: Sweep) -> None:
    """A narrow cache by what this very device showed with a wide one."""
    (own,) = those(of, what, sweep.works[0].dtype, lambda s: s.id == sweep.sheet.id)
    seen = told(sweep, what, fit_sweep(own, SHAPES[what]))
    print(f"own, wide    {what:18} {sweep.sheet.id:12} {sweep.dtype:16} {said(*seen)}")


def device_rows(of: Sweeps) -> list[dict[str, object]]:
    rows = []
    for what, sweep in of:
        shape = shape_of(what, sweep.dtype)
        seen = fold_errors(sweep, shape)
        print(f"own shapes   {what:18} {sweep.sheet.id:12} {sweep.dtype:16} {said(*seen)}")
        rows.append(
            evidence_row(
                what=what, dtype=sweep.dtype, rung="device", scope=sweep.sheet.id,
                taken=fit_sweep(sweep, shape), spread=spread_80(*seen),
                num_points=len(sweep.rows), source=SOURCE,
            )
        )  # fmt: skip
    return rows


SISTERS = 1.25
"""By what factor a band widens from a device to its architecture; no sweep of two sisters was
published, the products' bands widen by this much."""


def pooled_rows(of: Sweeps, bands: Mapping[tuple[str, str, str], float]) -> list[dict[str, object]]:
    """Architectures, families, and GPUs as a kind: one fit to all of their devices."""
    rows = []
    for rung in ("architecture", "family", "kind"):
        for scope in sorted({getattr(s.sheet, rung) for _, s in of}):
            for what, dtype in sorted({(w, s.dtype) for w, s in of}):
                found = those(of, what, dtype, lambda s, r=rung, o=scope: getattr(s, r) == o)
                narrow_elsewhere = "/" in dtype and rung != "architecture"
                if not found or narrow_elsewhere:
                    continue  # how a narrow cache is unpacked is of the architecture
                rows.append(
                    evidence_row(
                        what=what, dtype=dtype, rung=rung, scope=scope,
                        taken=fit_jointly(found, shape_of(what, dtype, rung)),
                        spread=bands[what, dtype, rung],
                        num_points=sum(len(s.rows) for s in found),
                        source=f"{len(found)} devices; {SOURCE}",
                        devices=[s.sheet.id for s in found],
                    )
                )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/published"))
    of = sweeps(parser.parse_args().data)
    rows = device_rows(of)
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        found[str(row["what"]), str(row["dtype"]), "architecture"].append(
            SISTERS * float(str(row["spread"]))
        )
    for what, sweep in of:
        answer = unseen(of, what, sweep)
        if answer and "/" not in sweep.dtype:
            found[what, sweep.dtype, answer[0]].append(answer[1])
    rows += pooled_rows(of, bands_of(found))
    write(OUT, TITLE, [*rows, *by_hand.attention_rows(rows)])


LONELY = 2.0
"""The band where one architecture alone was measured and nothing shows how it transfers."""


def bands_of(
    found: Mapping[tuple[str, str, str], Sequence[float]],
) -> dict[tuple[str, str, str], float]:
    """The mean band per formula, dtype and rung; a wider rung never has a narrower one."""
    bands = {}
    for what, dtype, _ in list(found):
        least = 1.0
        for rung in ("architecture", "family", "kind"):
            seen = found.get((what, dtype, rung))
            least = max(least, float(np.mean(seen)) if seen else LONELY)
            bands[what, dtype, rung] = least
    return bands


TITLE = "Constants of attention; written by benchmarks/fit/attention.py"

if __name__ == "__main__":
    main()
