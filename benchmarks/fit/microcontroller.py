"""Fits cycles per multiply-add of microcontrollers to MLPerf Tiny.

    python benchmarks/fit/microcontroller.py --data ../shared/data

Writes `src/fitwright/catalog/constants/microcontroller.yaml`; prints held-out errors.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ridge import Design, Features, Model, quantile, say, total
from tiny_rows import Tiny, rows

OUT = Path(__file__).parents[2] / "src/fitwright/catalog/constants/microcontroller.yaml"
SOURCE = "MLCommons tiny results v0.7 to v1.2"
NOISE = 0.08
EXPECTED = {
    "all": 3.0,
    "network": 0.7,
    "framework": 0.4,
    "framework network": 0.2,
    "family": 0.4,
    "core": 0.5,
    "core network": 0.15,
    "device": 0.15,
    "device network": 0.05,
    "device framework": 0.12,
}
SCOPES = {"family": "family", "architecture": "core", "device": "device"}


def features(row: Tiny) -> Features:
    name, framework = row.network.name, row.framework
    return {
        ("all",): 1,
        ("network", name): 1,
        ("framework", framework): 1,
        ("framework network", framework, name): 1,
        ("family", row.family): 1,
        ("core", row.core): 1,
        ("core network", row.core, name): 1,
        ("device", row.device): 1,
        ("device network", row.device, name): 1,
        ("device framework", row.device, framework): 1,
    }


def constants(model: Model, sort: str, scope: str) -> dict[str, float]:
    found = {"offset": model.get((sort, scope), 0.0)}
    for (what, *rest), value in model.items():
        if rest[:1] == [scope] and what in (f"{sort} network", f"{sort} framework"):
            found[f"{what.split()[1]}:{rest[1]}"] = value
    return found


def kind_constants(model: Model) -> dict[str, float]:
    found = {"offset": model["all",]}
    for (what, *rest), value in model.items():
        if what in ("network", "framework"):
            found[f"{what}:{rest[0]}"] = value
        elif what == "framework network":
            found[f"framework:{rest[0]}:{rest[1]}"] = value
    networks = [v for k, v in found.items() if k.startswith("network:")]
    found["network"] = float(np.median(networks))
    return found


def energies(fitted: list[Tiny]) -> dict[tuple[str, str], list[float]]:
    """Log joules per clock cycle of every metered row, by rung and scope."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in fitted:
        if row.joules:
            value = math.log(row.joules / row.seconds / row.clock_hz)
            for rung, scope in scopes(row).items():
                found[rung, scope].append(value)
    return found


def scopes(row: Tiny) -> dict[str, str]:
    return {"kind": "cpu", "family": row.family, "architecture": row.core, "device": row.device}


def evidence(model: Model, fitted: list[Tiny], spreads: dict[str, float]) -> list[dict[str, Any]]:
    metered, out = energies(fitted), []
    for rung in ("kind", "family", "architecture", "device"):
        points: dict[str, int] = defaultdict(int)
        for row in fitted:
            points[scopes(row)[rung]] += 1
        for scope, number in sorted(points.items()):
            if number < 2 or not scope.strip():
                continue
            found = (
                kind_constants(model) if rung == "kind" else constants(model, SCOPES[rung], scope)
            )
            if values := metered.get((rung, scope)):
                found["log_j_per_cycle"] = float(np.median(values))
                found["energy_spread"] = max(1.2, quantile(np.array(values) - np.median(values)))
            row = {"what": "microcontroller", "rung": rung, "scope": scope}
            row |= {"constants": {k: float(f"{v:.4g}") for k, v in found.items() if v}}
            row |= {"spread": spreads[rung], "num_points": number, "source": SOURCE}
            out.append(row)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    fitted = rows(parser.parse_args().data)
    targets = [math.log(r.seconds * r.clock_hz / r.network.macs) for r in fitted]
    design = Design([features(r) for r in fitted], targets, expected=EXPECTED, noise=NOISE)
    groups = {
        "kind": [r.family for r in fitted],
        "family": [r.core for r in fitted],
        "architecture": [r.device for r in fitted],
        "device": [(r.device, r.network.name, r.framework) for r in fitted],
    }
    spreads = {}
    for rung, group in groups.items():
        errors = design.held_out(group, total)
        spreads[rung] = quantile(errors)
        say(f"microcontrollers, {rung} answers", errors)
    OUT.write_text(
        yaml.dump(
            evidence(design.fit_all(), fitted, spreads), sort_keys=False, Dumper=yaml.CSafeDumper
        )
    )


if __name__ == "__main__":
    main()
