"""What language models reach where only their operators, or their power, were measured.

Shares of products and attention as their kernels reach them alone, for engines whose runs were
not published; and the share of its power that a device draws while it reads weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from llm_priors import row, shares
from llm_rows import SWEPT, attention_shares, gemm_shares, power_rows

from fitwright.catalog.sheets import find_sheet
from fitwright.perf.llm.machine import watts_per_peak

LEGACY = "ml-energy/leaderboard-v2 legacy, batch 1 (mlenergy_legacy_batch1.csv)"


def powered(device: str) -> dict[str, float]:
    """Watts for each peak FLOP/s of the device that was measured."""
    watts = watts_per_peak(find_sheet(device))
    return {"watts_per_peak": watts} if watts else {}


# ---- operators alone, for engines whose runs were not published

SWEEPS = "GEMM and attention sweeps (ai-dynamo/aiconfigurator)"

BETWEEN = 0.87
"""Norms, rotations, sums and gates run between the products: in a prompt of Llama 3 8B they move
about 0.3 MB a token and block, an eighth of the time of its products on an H100."""


def _near(shares_found: Sequence[float], otherwise: float, cap: float) -> float:
    return min(median(shares_found), cap) if shares_found else otherwise


def sweep_evidence(data: Path) -> list[dict[str, Any]]:
    """Shares of products and attention as their kernels reach them alone."""
    found = []
    for (system, group), (streams, computes) in gemm_shares(data).items():
        constants = shares(_near(streams, 0.7, 0.92), BETWEEN * _near(computes, 0.7, 0.95))
        found += _swept("llm/products", group, system, constants, len(streams) + len(computes))
    for (system, dtype), (streams, computes) in attention_shares(data).items():
        constants = {"kv_share": _near(streams, 0.7, 0.92),
                     "prefill_share": _near(computes, 0.45, 0.95), "kv_order": 0.3}  # fmt: skip
        found += _swept("llm/attention", dtype, system, constants, len(streams) + len(computes))
    return [*found, *_families(found)]


def _swept(
    what: str, dtype: str, system: str, constants: dict[str, float], points: int
) -> list[dict[str, Any]]:
    device, architecture = SWEPT[system]
    print(device, what, dtype, constants)
    if what == "llm/products":
        constants = constants | powered(device)
    return [
        row(what, dtype, rung, scope, constants, spread=1.15, num_points=points, source=SWEEPS)
        for rung, scope in (("device", device), ("architecture", architecture))
    ]


def _families(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the architectures of NVIDIA that were swept."""
    own = [r for r in found if r["rung"] == "architecture" and r["scope"] != "Xe2"]
    rows = []
    for what, dtype in dict.fromkeys((r["what"], r["dtype"]) for r in own):
        alike = [r for r in own if (r["what"], r["dtype"]) == (what, dtype)]
        constants = {k: median(r["constants"][k] for r in alike) for k in alike[0]["constants"]}
        points = sum(r["num_points"] for r in alike)
        rows.append(row(what, dtype, "family", "nvidia-gpu", constants, spread=1.3,
                        num_points=points, source=SWEEPS))  # fmt: skip
    return rows


# ---- power

IDLE_SHARE = 0.23


def power_evidence(data: Path) -> list[dict[str, Any]]:
    """Share of the room between idle and TDP that reading at full bandwidth would draw."""
    found = []
    for device, architecture, loads in power_rows(data):
        share = median((w - IDLE_SHARE) / (1 - IDLE_SHARE) / b for b, w in loads)
        off = sorted(
            math.exp(abs(math.log((IDLE_SHARE + (1 - IDLE_SHARE) * min(1, share * b)) / w)))
            for b, w in loads
        )
        spread = off[int(0.82 * len(off))]
        print(f"power {device}: byte share {share:.2f}, {len(loads)} rows, 80 % x{spread:.2f}")
        constants = {"idle_share": IDLE_SHARE, "byte_share": share, "flop_share": 1.25}
        for rung, scope in (("device", device), ("architecture", architecture)):
            found.append(row("llm/power", "", rung, scope, constants, spread=max(spread, 1.2),
                             num_points=len(loads), source=LEGACY))  # fmt: skip
    family = median(r["constants"]["byte_share"] for r in found)
    constants = {"idle_share": IDLE_SHARE, "byte_share": family, "flop_share": 1.25}
    return [*found, row("llm/power", "", "family", "nvidia-gpu", constants, spread=1.35,
                        num_points=len(found), source=LEGACY)]  # fmt: skip
