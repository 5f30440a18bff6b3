"""Fits what training reaches of a device's peaks, per software, from published runs.

    python benchmarks/fit/training.py --data ../shared/data

Writes `src/fitwright/catalog/constants/training.yaml` and prints held-out errors: each row
predicted from a fit on the other rows of its device (ten folds), and each architecture from the
other architectures alone. The formula is in `fitwright.perf.training.step`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import training_memory_fit as memory
import yaml
from scipy.optimize import least_squares
from training_fits import AMD_SHARE, AMD_SOURCE, BOUNDS, COMMON, FITS, Constants, Fit

from fitwright.catalog.evidence import evidence
from fitwright.catalog.sheets import find_sheet
from fitwright.perf.training.answer import (
    Footing,
    Software,
    efficiency,
    exponent,
    footing,
    step_on,
)
from fitwright.perf.training.layout import Float8, Layout
from fitwright.records.estimate import NoData, Rung
from fitwright.records.evidence import Evidence
from fitwright.validate.case import Case
from fitwright.validate.domains.training import chosen, stated
from fitwright.validate.domains.training_inputs import Ran, read
from fitwright.validate.measures import in_base_units

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/training.yaml"
LINKS = evidence("collectives")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A case with all that its prediction needs but the constants."""

    case: Case
    ran: Ran
    ridge: float

    @property
    def device(self) -> str:
        return self.case.device_id


def prepared(cases: Iterable[Case]) -> list[Row]:
    found = []
    for case in cases:
        ran = read(case)
        assert not isinstance(ran, NoData), (case, ran)
        found.append(Row(case=case, ran=ran, ridge=ridge(case.device_id, ran.dtype)))
    return found


def ridge(device: str, dtype: str) -> float:
    sheet = find_sheet(device)
    assert sheet.bandwidth_bytes_per_s is not None
    return sheet.peaks[dtype].value / sheet.bandwidth_bytes_per_s.value


@cache
def machine(device: str, software: Software, dtype: str, float8: Float8) -> Footing:
    """The device's peaks and links, on constants that do not matter."""
    own = Evidence(
        what=f"training/{software}",
        dtype=dtype,
        rung="device",
        scope=device,
        constants={"ridge": ridge(device, dtype), **COMMON},
        spread=1.0,
        num_points=1,
        source="a fit",
    )
    found = footing(
        find_sheet(device),
        (own, *LINKS),
        software=software,
        dtype=dtype,
        layout=Layout(float8=float8),
    )
    assert isinstance(found, Footing), found
    return found


def footed(row: Row, constants: Mapping[str, float]) -> Footing:
    """The row's device with these constants as if they were its own evidence."""
    ran = row.ran
    found = machine(row.device, ran.software, ran.dtype, ran.layout.float8)
    own = {"ridge": row.ridge, **constants}
    return replace(
        found,
        efficiency=efficiency(own, find_sheet(row.device), dtype=ran.dtype, layout=ran.layout),
    )


def log_error(row: Row, constants: Mapping[str, float], *, choose: bool = True) -> float:
    """Logarithm of predicted over measured; positive: too high in the row's own metric."""
    found = footed(row, constants)
    layout = row.ran.layout
    if row.ran.free and choose:
        layout = chosen(row.ran, found, find_sheet(row.device))
    time = step_on(row.ran.shape, layout, found)
    assert not isinstance(time, NoData)
    value = stated(
        float(time.total_s), row.ran.shape, layout, row.case, peak=found.machine.flop_per_s
    )
    unit = in_base_units(row.case.unit)
    assert isinstance(value, float) and unit and row.case.measured
    return float(np.log(value / (row.case.measured * unit)))


def fitted(rows: Sequence[Row], free: Sequence[str], start: Mapping[str, float]) -> Constants:
    """Constants of the least absolute deviations (softened), held near the start where free."""
    base = {**COMMON, **start}
    low = np.log([BOUNDS[k][0] for k in free])
    high = np.log([BOUNDS[k][1] for k in free])
    at = np.clip(np.log([base[k] for k in free]), low + 1e-6, high - 1e-6)

    def full(x: Any) -> Constants:
        return {**base, **{k: float(np.exp(v)) for k, v in zip(free, x, strict=True)}}

    def residuals(x: Any) -> Any:
        c = full(x)
        return np.array([*(log_error(r, c) for r in rows), *(0.02 * (x - at))])

    found = least_squares(
        residuals, at, bounds=(low, high), loss="soft_l1", f_scale=0.03, diff_step=1e-3, max_nfev=25
    )
    return full(found.x)


def moved(constants: Mapping[str, float], factor: float, rung: Rung) -> Constants:
    """To another ridge: `factor` is the old ridge over the new."""
    by = factor ** exponent(rung)
    shares = {k: min(constants[k] * by, 1.0) for k in ("share", "attention_share")}
    return {**constants, **shares}


def folds(rows: Sequence[Row], fit: Fit, start: Mapping[str, float]) -> list[float]:
    """Errors of rows that the fit did not see."""
    count = min(10, len(rows))
    errors = []
    for k in range(count):
        kept = [r for i, r in enumerate(rows) if i % count != k]
        c = fitted(kept, fit.free, start)
        errors += [log_error(r, c) for r in rows[k::count]]
    return errors


def say(name: str, errors: Sequence[float]) -> float:
    """Prints the errors and returns their 80 % band as a factor."""
    size = np.abs(errors)
    band = float(np.exp(np.quantile(size, 0.8)))
    print(
        f"{name:55s} n={len(size):3d} median {np.median(np.expm1(size)):.3f} "
        f"80 % band x{band:.3f} bias {np.median(errors):+.3f}",
        flush=True,
    )
    return band


def mean(rows: Sequence[tuple[Constants, float]], at: float, rung: Rung) -> Constants:
    """Geometric mean of constants, each moved to one ridge."""
    there = [moved(c, ridge / at, rung) for c, ridge in rows]
    return {k: float(np.exp(np.mean([np.log(max(c[k], 1e-9)) for c in there]))) for k in there[0]}


def row_of(
    fit: Fit, rung: str, scope: str, constants: Constants, at: float, spread: float, points: int
) -> dict[str, Any]:
    kept = {k: float(f"{v:.4g}") for k, v in constants.items()}
    return {
        "what": f"training/{fit.software}",
        "dtype": fit.dtype,
        "rung": rung,
        "scope": scope,
        "constants": {"ridge": float(f"{at:.4g}"), **kept},
        "spread": float(f"{max(spread, 1.02):.3g}"),
        "num_points": points,
        "source": fit.source,
    }


def evidences(fit: Fit, data: Path, *, check: bool) -> list[dict[str, Any]]:
    """Rows of one software: its devices, their architectures, their families, the kind."""
    rows = prepared(fit.cases(data))
    devices = list(dict.fromkeys(r.device for r in rows))
    own: dict[str, Constants] = {}
    out = []
    for device in devices:
        of = [r for r in rows if r.device == device]
        here = reduced(fit, of, next(iter(own.values()), None))
        own[device] = fitted(of, here.free, here.start)
        seen = [log_error(r, own[device]) for r in of]
        spread = say(f"{fit.software} on {device}: fitted", seen)
        if check and len(of) > 2:
            spread = say("   held-out rows of this device", folds(of, here, here.start))
        at = ridge(device, fit.dtype)
        out.append(row_of(fit, "device", device, own[device], at, spread, len(of)))
    return out + wider(fit, rows, own)


def reduced(fit: Fit, rows: Sequence[Row], elsewhere: Constants | None) -> Fit:
    """What few rows can tell: shares alone, the rest as on the software's best measured device."""
    if elsewhere is None or 2 * len(fit.free) <= len(rows):
        return fit if len(rows) > 2 else replace(fit, free=("share",))
    modes = {r.ran.layout.float8 for r in rows} - {""}
    narrow = tuple(f"float8_{mode}" for mode in sorted(modes)) if len(rows) > 2 else ()
    return replace(fit, free=("share", *narrow), start=elsewhere)


def wider(fit: Fit, rows: Sequence[Row], own: Mapping[str, Constants]) -> list[dict[str, Any]]:
    """Architecture, family and kind, each with the error on what it had not seen."""
    sheets = {d: find_sheet(d) for d in own}
    levels: tuple[tuple[Rung, Callable[[str], str], Callable[[str], str]], ...] = (
        ("architecture", lambda d: sheets[d].architecture, lambda d: d),
        ("family", lambda d: sheets[d].family, lambda d: sheets[d].architecture),
        ("kind", lambda d: sheets[d].kind, lambda d: sheets[d].architecture),
    )
    floor = {"architecture": 1.12, "family": 1.2, "kind": 1.4}
    out = []
    for rung, scope_of, unit_of in levels:
        for scope in dict.fromkeys(scope_of(d) for d in own):
            inside = [d for d in own if scope_of(d) == scope]
            errors: list[float] = []
            for unit in dict.fromkeys(unit_of(d) for d in inside):
                others = [d for d in inside if unit_of(d) != unit]
                if others:
                    pairs = [(own[d], ridge(d, fit.dtype)) for d in others]
                    of = [r for r in rows if unit_of(r.device) == unit]
                    unseen = [log_error(r, mean(pairs, r.ridge, rung)) for r in of]
                    say(f"   {unit} from {', '.join(others)}", unseen)
                    errors += unseen
            pairs = [(own[d], ridge(d, fit.dtype)) for d in inside]
            at = float(np.exp(np.mean([np.log(r) for _, r in pairs])))
            spread = floor[rung]
            if errors:
                spread = max(spread, say(f"{fit.software}: {rung} {scope}, held out", errors))
            out.append(row_of(fit, rung, scope, mean(pairs, at, rung), at, spread, len(rows)))
    return out + _other_kinds(fit, out)


def _other_kinds(fit: Fit, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """TPUs and accelerators by analogy, under a band that says so."""
    if fit.software not in ("fsdp", "titan"):
        return []
    base = next(r for r in rows if r["rung"] == "kind")
    source = f"by analogy with GPUs, no measurement; {fit.source}"
    rows_ = [
        {**base, "scope": kind, "spread": 1.6, "source": source} for kind in ("tpu", "asic", "npu")
    ]
    share = float(f"{base['constants']['share'] * AMD_SHARE:.4g}")
    amd = {
        **base,
        "rung": "family",
        "scope": "amd-gpu",
        "constants": {**base["constants"], "share": share},
        "spread": 1.4,
        "source": f"as on other GPUs, products at {AMD_SHARE:.2f} of that: {AMD_SOURCE}",
    }
    return [*rows_, amd]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--quick", action="store_true", help="skip the folds")
    parser.add_argument("--only", default="", help="one software, printed only")
    asked = parser.parse_args()
    out: list[dict[str, Any]] = []
    for fit in FITS:
        if asked.only in ("", fit.software):
            out += evidences(fit, asked.data, check=not asked.quick)
    if not asked.only:
        out += memory.evidences(asked.data)
        OUT.write_text(yaml.safe_dump(out, sort_keys=False, width=100))
        print(f"{OUT}: {len(out)} rows")


if __name__ == "__main__":
    main()
