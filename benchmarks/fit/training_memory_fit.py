"""Fits what the peak memory holds beside Korthikanti's terms: logits, workspace, slack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import training_cases as published

from fitwright.perf.training.memory import peak_bytes
from fitwright.records.estimate import NoData
from fitwright.validate.case import Case
from fitwright.validate.domains.training_inputs import Ran, read
from fitwright.validate.measures import in_base_units

LOGITS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
WORKSPACES = (0.5e9, 1e9, 1.5e9, 2e9, 3e9, 4e9)
SLACKS = (1.0, 1.05, 1.1, 1.15)
# As figure 1 of Korthikanti et al. has them; input and output embedding are one matrix.
MIXED = {
    "weight_bytes": 2.0,
    "gradient_bytes": 4.0,
    "optimiser_bytes": 12.0,
    "embedding_copies": 1.0,
}
STATES = {
    "titan": {
        "weight_bytes": 4.0,
        "gradient_bytes": 4.0,
        "optimiser_bytes": 8.0,
        "embedding_copies": 2.0,
        "boundary_copies": 0.0,
    },
    "megatron": MIXED | {"boundary_copies": 0.0},
    "oneflow": MIXED | {"boundary_copies": 2.0},
}
SOURCES = {
    "titan": "pytorch/torchtitan:benchmarks (peak reserved memory)",
    "megatron": "Oneflow-Inc/DLPerf:Megatron-LM/README.md",
    "oneflow": "Oneflow-Inc/DLPerf",
}
Pair = tuple[Ran, float]


def runs(cases: Iterable[Case]) -> list[Pair]:
    """Runs that say how they were cut, with the bytes measured."""
    found = []
    for case in cases:
        ran, unit = read(case), in_base_units(case.unit)
        assert not isinstance(ran, NoData) and case.measured and unit
        if not ran.free:
            found.append((ran, case.measured * unit))
    return found


def errors(pairs: Sequence[Pair], constants: Mapping[str, float]) -> list[float]:
    return [float(np.log(peak_bytes(r.shape, r.layout, **constants) / m)) for r, m in pairs]


def fitted(pairs: Sequence[Pair], states: Mapping[str, float]) -> dict[str, float]:
    """The grid point of the least mean absolute error."""
    grid = [
        {**states, "logit_each": e, "workspace_bytes": w, "slack": s}
        for e, w, s in product(LOGITS, WORKSPACES, SLACKS)
    ]
    return min(grid, key=lambda c: float(np.mean(np.abs(errors(pairs, c)))))


def evidences(data: Path) -> list[dict[str, Any]]:
    out = []
    for name, pairs in (
        ("titan", runs(published.titan_peaks(data))),
        ("megatron", runs(published.megatron_peaks(data))),
        ("oneflow", runs(published.dlperf_peaks(data))),
    ):
        constants = fitted(pairs, STATES[name])
        unseen = []
        for i, pair in enumerate(pairs):
            c = fitted([*pairs[:i], *pairs[i + 1 :]], STATES[name])
            unseen += errors([pair], c)
        size = np.abs(unseen)
        spread = float(np.exp(np.quantile(size, 0.8)))
        print(
            f"memory, {name}: {constants}; left out one by one: n={len(size)} median "
            f"{np.median(size):.3f}, 80 % band x{spread:.3f}"
        )
        out += [
            {
                "what": f"training/memory/{name}",
                "dtype": "",
                "rung": "kind",
                "scope": scope,
                "constants": constants,
                "spread": float(f"{spread:.3g}"),
                "num_points": len(pairs),
                "source": SOURCES[name],
            }
            for scope in ("gpu", "tpu", "npu", "asic")
        ]
    return out
