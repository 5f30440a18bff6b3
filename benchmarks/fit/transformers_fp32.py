"""Fits transformers in float32: writes `catalog/constants/transformer_fp32.yaml`.

Run by hand: ``python benchmarks/fit/transformers_fp32.py --data ../shared/data``; prints errors
on rows (five folds) and on devices that the fit did not see.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import training_cases as published
import yaml

from fitwright.catalog.sheets import load_sheets
from fitwright.catalog.transformers import find_transformer
from fitwright.perf.network.power import PICOJOULES_32, fed_rate
from fitwright.perf.network.transformer_time import (
    WHAT,
    Step,
    link_bytes_per_s,
    num_units_of,
    seconds,
)
from fitwright.records.evidence import Evidence
from fitwright.records.sheet import Sheet
from fitwright.records.transformer import Transformer

OUT = Path("src/fitwright/catalog/constants/transformer_fp32.yaml")
SOURCE = "sitar-lab/NeuSight:scripts/asplos/label"


@dataclass(frozen=True)
class Row:
    """One measured pass or step on one device."""

    device: str
    shape: Transformer
    step: Step
    time_s: float

    @property
    def sheet(self) -> Sheet:
        return load_sheets()[self.device]


def read(data: Path) -> list[Row]:
    """Rows of one device; those of several devices are too few to fit and only checked."""
    rows = []
    for r in published.rows(data, "neusight_e2e_measured"):
        shape = find_transformer(r["model"])
        assert shape is not None, r["model"]
        split = r["option"][:2] if r["option"][:2] in ("tp", "dp", "pp") else ""
        step = Step(
            batch=int(r["batch"]),
            tokens=int(r["seq_len"]),
            training=r["mode"].startswith("train"),
            fused=r["option"] == "fusion",
            split=split,  # type: ignore[arg-type]
            num_devices=int(r["option"][2:]) if split else 1,
        )
        rows.append(Row(published.NEUSIGHT_IDS[r["device"]], shape, step, float(r["e2e_ms"]) / 1e3))
    return rows


def predicted(row: Row, constants: dict[str, float]) -> float:
    bandwidth = row.sheet.bandwidth_bytes_per_s
    assert bandwidth is not None
    rate = fed_rate(row.sheet.peaks["float32"].value, row.sheet, PICOJOULES_32)
    return seconds(
        row.shape,
        row.step,
        rate=rate,
        bandwidth=bandwidth.value,
        link=link_bytes_per_s(row.sheet) or 1.0,
        num_units=num_units_of(row.sheet),
        constants=constants,
    )


def common(rows: Sequence[Row]) -> dict[str, float]:
    """Launch, training and experts that leave the least absolute error, shares being free."""
    best, least = {}, math.inf
    grid = product((0, 2e-6, 4e-6, 8e-6), (1.0, 1.05, 1.1, 1.15), (1.2, 1.35, 1.5, 1.65, 1.8))
    for launch, training, experts in grid:
        c = {"launch_s": launch, "training": training, "experts": experts, "share": 1.0}
        logs: dict[str, list[float]] = {d: [] for d in {r.device for r in rows}}
        for r in rows:
            logs[r.device].append(math.log(r.time_s / predicted(r, c)))
        total = sum(abs(x - float(np.median(v))) for v in logs.values() for x in v)
        if total < least:
            best, least = c, total
    return best


def share(rows: Sequence[Row], constants: dict[str, float]) -> float:
    """Of the sum of the roofline's terms, by the median row; at most all of it."""
    top = [predicted(r, constants | {"share": 1.0}) for r in rows]
    launch = [top[i] - predicted(r, constants | {"share": 1e9}) for i, r in enumerate(rows)]
    rest = [max(r.time_s - (top[i] - launch[i]), 1e-9) for i, r in enumerate(rows)]
    return min(1.0, float(np.median([a / b for a, b in zip(launch, rest, strict=True)])))


def errors(rows: Iterable[Row], constants: dict[str, float]) -> np.ndarray:
    return np.array([predicted(r, constants) / r.time_s - 1 for r in rows])


def spread_of(error: np.ndarray) -> float:
    return float(np.exp(np.quantile(np.abs(np.log1p(error)), 0.8)))


def told(label: str, error: np.ndarray) -> None:
    size = np.abs(error)
    print(
        f"{label:44s} n {len(error):3d}  median {np.median(size):.3f}  p90 "
        f"{np.quantile(size, 0.9):.3f}  bias {np.median(error):+.3f}  80 % {spread_of(error):.2f}",
        flush=True,
    )


def calibrated(rows: Sequence[Row]) -> np.ndarray:
    """Other rows of known devices: five folds, every fifth row of a device held out."""
    place: dict[str, int] = {}
    fold = []
    for r in rows:
        place[r.device] = place.get(r.device, -1) + 1
        fold.append(place[r.device] % 5)
    found = np.zeros(len(rows))
    for k in range(5):
        seen = [r for r, f in zip(rows, fold, strict=True) if f != k]
        c = common(seen)
        for i, r in enumerate(rows):
            if fold[i] == k and (same := [s for s in seen if s.device == r.device]):
                found[i] = errors([r], c | {"share": share(same, c)})[0]
    return found


def device_out(rows: Sequence[Row]) -> np.ndarray:
    """Each device answered from the shares of the others (the median over devices)."""
    found = np.zeros(len(rows))
    for device in {r.device for r in rows}:
        seen = [r for r in rows if r.device != device]
        c = common(seen)
        shares = [share([r for r in seen if r.device == d], c) for d in {r.device for r in seen}]
        for i, r in enumerate(rows):
            if r.device == device:
                found[i] = errors([r], c | {"share": float(np.median(shares))})[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    every = read(parser.parse_args().data)
    rows = [r for r in every if r.step.num_devices == 1]
    known, apart = calibrated(rows), device_out(rows)
    for kind, at in (
        ("forward", [i for i, r in enumerate(rows) if not r.step.training]),
        ("training", [i for i, r in enumerate(rows) if r.step.training]),
    ):
        told(f"{kind}: other rows, known device", known[at])
        told(f"{kind}: device left out", apart[at])
    is_step = np.array([r.step.training for r in rows])
    near = spread_of(known[~is_step])
    c = common(rows) | {"training_spread": round(max(1.0, spread_of(known[is_step]) / near), 3)}
    print(c)
    shares, found = {}, []
    for device in sorted({r.device for r in rows}):
        at = [i for i, r in enumerate(rows) if r.device == device]
        shares[device] = share([rows[i] for i in at], c)
        told(f"{device} share {shares[device]:.2f}: known", known[at])
        told(f"{device}: left out", apart[at])
        found.append(_row("device", device, shares[device], c, near, len(at)))
    for rung, scopes in _wider(shares).items():
        for scope, values in scopes.items():
            far = spread_of(apart) * (1.3 if rung == "kind" else 1.0)
            found.append(_row(rung, scope, float(np.median(values)), c, far, len(rows)))
    split = [r for r in every if r.step.num_devices > 1]
    told("several devices", errors(split, c | {"share": float(np.median(list(shares.values())))}))
    text = (
        "# Written by benchmarks/fit/transformers_fp32.py; see perf/network/transformer_time.py.\n"
    )
    dumped = [e.model_dump(exclude_defaults=True) for e in found]
    OUT.write_text(text + yaml.safe_dump(dumped, sort_keys=False, default_flow_style=None))


def _wider(shares: dict[str, float]) -> dict[str, dict[str, list[float]]]:
    """Shares of the devices by architecture, family and kind."""
    out: dict[str, dict[str, list[float]]] = {"architecture": {}, "family": {}, "kind": {}}
    for device, value in shares.items():
        sheet = load_sheets()[device]
        out["architecture"].setdefault(sheet.architecture, []).append(value)
        out["family"].setdefault(sheet.family, []).append(value)
        out["kind"].setdefault(sheet.kind, []).append(value)
    return out


def _row(
    rung: str, scope: str, value: float, constants: dict[str, float], spread: float, count: int
) -> Evidence:
    return Evidence.model_validate(
        {
            "what": WHAT,
            "dtype": "float32",
            "rung": rung,
            "scope": scope,
            "constants": constants | {"share": round(value, 3)},
            "spread": round(spread, 3),
            "num_points": count,
            "source": SOURCE,
        }
    )


if __name__ == "__main__":
    main()
