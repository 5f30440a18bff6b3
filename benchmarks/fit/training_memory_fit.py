"""Fits what the peak memory holds beside Korthikanti's terms: logits, workspace, slack.

Megatron-LM's runs are replayed allocation by allocation; only the workspace is fitted to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import training_cases as published

from fitwright.perf.training.memory import peak_bytes
from fitwright.perf.training.replay import reserved_bytes
from fitwright.records.estimate import NoData
from fitwright.validate.case import Case
from fitwright.validate.domains.training_inputs import Ran, read
from fitwright.validate.domains.training_memory import allocated
from fitwright.validate.measures import in_base_units

LOGITS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0)
WORKSPACES = (0.5e9, 1e9, 1.5e9, 2e9, 3e9, 4e9)
SLACKS = (1.0, 1.05, 1.1, 1.15)
REPLAY_WORKSPACES = tuple(1e8 * i for i in range(5, 31))
DLPERF_BYTES = 16 * 2**30
"""Of the V100s in DLPerf; the catalogue's has twice that."""
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
    # float16 gradients, copied to float32; the loss keeps its logits in float32
    "megatron": MIXED
    | {"boundary_copies": 0.0, "gradient_bytes": 6.0, "logit_each": 6.0, "slack": 1.0},
    "oneflow": MIXED | {"boundary_copies": 2.0},
}
SOURCES = {
    "fsdp": "as torchtitan; logits as in llm-foundry's fused loss, whose 210 runs fitted",
    "titan": "pytorch/torchtitan:benchmarks (peak reserved memory)",
    "megatron": "Oneflow-Inc/DLPerf:Megatron-LM/README.md",
    "oneflow": "Oneflow-Inc/DLPerf",
}
KINDS = ("gpu", "tpu", "npu", "asic")
FOUNDRY_BYTES = {"a100-40-sxm": 40 * 2**30, "a100-80-sxm": 80 * 2**30, "h100-sxm": 80 * 2**30}
FSDP_SPREAD = 1.2
"""No peak is published: what FSDP's first version and eager blocks may add to torchtitan's."""
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


def replayed(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """Bytes that the replay has reserved, and those measured."""
    limit = DLPERF_BYTES - 1.5e9
    return [(reserved_bytes(r.shape, r.layout, limit_bytes=limit), m) for r, m in pairs]


def replay_errors(of: Sequence[tuple[float, float]], workspace: float) -> list[float]:
    return [float(np.log((reserved + workspace) / m)) for reserved, m in of]


def workspace_of(of: Sequence[tuple[float, float]]) -> float:
    """The one of the least median error: two runs over slow links are far off whatever it is."""
    return min(REPLAY_WORKSPACES, key=lambda w: float(np.median(np.abs(replay_errors(of, w)))))


def formula_fit(pairs: Sequence[Pair], name: str) -> tuple[dict[str, float], list[float]]:
    """Constants, and errors of runs left out one by one."""
    unseen: list[float] = []
    for i, pair in enumerate(pairs):
        unseen += errors([pair], fitted([*pairs[:i], *pairs[i + 1 :]], STATES[name]))
    return fitted(pairs, STATES[name]), unseen


def replay_fit(pairs: Sequence[Pair], name: str) -> tuple[dict[str, float], list[float]]:
    """As `formula_fit`; runs that repeat one layout and model are left out together."""
    of, unseen = replayed(pairs), []
    for row in of:
        kept = [other for other in of if other[0] != row[0]]
        unseen += replay_errors([row], workspace_of(kept))
    return {**STATES[name], "workspace_bytes": workspace_of(of)}, unseen


def allocated_errors(data: Path) -> list[float]:
    """Of peaks on one device; nothing is fitted to them."""
    found = []
    for case in published.torchao_peaks(data):
        ran, unit = read(case), in_base_units(case.unit)
        assert not isinstance(ran, NoData) and case.measured and unit
        value = allocated(ran, case.inputs, amp="amp" in str(case.inputs["dtype"]))
        found.append(float(np.log(value / (case.measured * unit))))
    return found


def known_to_fit(data: Path, constants: Mapping[str, float]) -> float:
    """The largest share of a device's memory that llm-foundry's runs would take; all of them ran.

    Nobody published their peaks. With the logits of torchtitan 99 of 210 would not fit; with 4
    bytes each (bfloat16 and its gradient: their loss is one kernel, in place) all do.
    """
    taken = []
    for case in published.foundry(data):
        ran, memory = read(case), FOUNDRY_BYTES[case.device_id]
        assert not isinstance(ran, NoData)
        taken.append(float(peak_bytes(ran.shape, ran.layout, **constants)) / memory)
    return max(taken)


def row_of(
    name: str, scope: str, constants: Mapping[str, float], spread: float, points: int
) -> dict[str, Any]:
    return {
        "what": f"training/memory/{name}",
        "dtype": "",
        "rung": "kind",
        "scope": scope,
        "constants": dict(constants),
        "spread": float(f"{spread:.3g}"),
        "num_points": points,
        "source": SOURCES[name],
    }


def evidences(data: Path) -> list[dict[str, Any]]:
    out = []
    alone = allocated_errors(data)
    print(
        f"memory, one device: n={len(alone)} median {np.median(np.abs(alone)):.3f}, "
        f"80 % band x{np.exp(np.quantile(np.abs(alone), 0.8)):.3f}"
    )
    for name, cases, fit in (
        ("titan", published.titan_peaks(data), formula_fit),
        ("megatron", published.megatron_peaks(data), replay_fit),
        ("oneflow", published.dlperf_peaks(data), formula_fit),
    ):
        pairs = runs(cases)
        constants, unseen = fit(pairs, name)
        size = np.abs(unseen)
        spread = float(np.exp(np.quantile(size, 0.8)))
        print(
            f"memory, {name}: {constants}; left out one by one: n={len(size)} median "
            f"{np.median(size):.3f}, 80 % band x{spread:.3f}"
        )
        out += [row_of(name, kind, constants, spread, len(pairs)) for kind in KINDS]
        if name == "titan":
            fused = {**constants, "logit_each": 4.0, "embedding_copies": 1.0}
            share = known_to_fit(data, fused)
            print(
                f"memory, fsdp: the fullest of llm-foundry's runs takes {share:.2f} of its device"
            )
            assert share <= 1.005, share
            out += [row_of("fsdp", kind, fused, FSDP_SPREAD, 1) for kind in KINDS]
    return out
