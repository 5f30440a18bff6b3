"""Power of CPUs from published figures, scaled to the cores a process may use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fitwright.records.figure import Figure

# A package seldom draws exactly its thermal design power: half of it when a virtual core
# is one of two hardware threads or the load waits for memory; a third more in bursts.
LOADED_SPREAD = (0.5, 1.3)
IDLE_SPREAD = (0.4, 3.0)
_NOISE = re.compile(r"\((?:R|TM)\)|\bCPU\b|\bProcessor\b|\b\d+-Core\b|@.*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """Of the cores a process may use, watts; estimated, or unavailable with the reason."""

    idle: Figure
    loaded: Figure


def estimate_power(
    cpu: str,
    *,
    vendor: str = "",
    family: int | None = None,
    model: int | None = None,
    num_cores: int,
) -> Power:
    """What the usable cores draw, idle and under full load.

    Args:
        cpu: model name as the operating system gives it.
        vendor, family, model: of the CPUID, for names that hide the model.
        num_cores: physical cores in use; the package's power is shared out evenly.
    """
    facts = _facts()
    name = " ".join(_NOISE.sub(" ", cpu).split())
    for board in facts["boards"]:
        if re.search(board["pattern"], name):
            return _board_power(board, num_cores)
    for row in facts["models"]:
        if re.search(rf"\b{row['pattern']}(?!\w)", name, re.IGNORECASE):
            each = row["tdp_w"] / row["cores"]
            return _scaled(name, each, each, num_cores, row["source"])
    for row in facts["families"]:
        first, last = row["models"]
        known = (row["vendor"], row["family"]) == (vendor, family)
        if known and model is not None and first <= model <= last:
            low_w, high_w = row["w_per_core"]
            return _scaled(row["name"], low_w, high_w, num_cores, row["source"])
    return _unknown(cpu, vendor, family, model)


def _unknown(cpu: str, vendor: str, family: int | None, model: int | None) -> Power:
    cpuid = f" ({vendor} family {family} model {model})" if family is not None else ""
    missing = Figure.unavailable(f"no published power figure for {cpu!r}{cpuid}", unit="W")
    return Power(idle=missing, loaded=missing)


def _board_power(board: Mapping[str, Any], num_cores: int) -> Power:
    """Measured on the whole board, so idle power does not shrink with the cores used."""
    share = min(1.0, num_cores / board["cores"])
    busy = board["idle_w"] + (board["loaded_w"] - board["idle_w"]) * share
    return Power(
        idle=_estimate(board["idle_w"], spread=(0.7, 1.5), source=board["source"]),
        loaded=_estimate(busy, spread=(0.7, 1.5), source=board["source"]),
    )


def _scaled(name: str, low_w: float, high_w: float, num_cores: int, source: str) -> Power:
    """Watts per core over the range of a family; the middle is the geometric mean."""
    shares = _facts()["shares"]
    middle = math.sqrt(low_w * high_w) * num_cores
    narrow = (low_w * num_cores / middle, high_w * num_cores / middle)
    origin = (
        f"{name}: {num_cores} cores' share of the thermal design power ({source}), "
        f"times {{}} ({shares['source']}); interval by judgement, not statistics"
    )
    return Power(
        idle=_estimate(
            middle * shares["idle"],
            spread=(narrow[0] * IDLE_SPREAD[0], narrow[1] * IDLE_SPREAD[1]),
            source=origin.format(shares["idle"]),
        ),
        loaded=_estimate(
            middle * shares["loaded"],
            spread=(narrow[0] * LOADED_SPREAD[0], narrow[1] * LOADED_SPREAD[1]),
            source=origin.format(shares["loaded"]),
        ),
    )


def _estimate(value_w: float, *, spread: tuple[float, float], source: str) -> Figure:
    return Figure(
        value=value_w,
        low=value_w * spread[0],
        high=value_w * spread[1],
        unit="W",
        label="estimated",
        source=source,
    )


@cache
def _facts() -> dict[str, Any]:
    """The file next to this module; it ships with the package."""
    facts: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("power.yaml").read_text())
    return facts
