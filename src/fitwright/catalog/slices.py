"""Slices of a GPU (MIG): a part of its units, and a part of its memory with the bandwidth."""

from __future__ import annotations

import re

from fitwright.errors import ContractError
from fitwright.records.sheet import Fact, Sheet

PROFILE = re.compile(r"\b(?:(\d+)x)?(\d)g\.(\d+)gb\b")
_MIG = re.compile(r"\bmig\b|\b\d-\d-mig\b", re.IGNORECASE)
UNITS_OF_A_SLICE = {"Ampere GA100": 14, "Hopper": 16}
"""SMs of one compute slice of seven (NVIDIA MIG user guide: 1g is a seventh of the GPU's SMs)."""
_EIGHTHS = 8
"""Memory is cut into eight equal parts, its channels and the cache with it."""


def is_slice(named: str) -> bool:
    """Whether the name says that a part of a GPU is meant."""
    return bool(_MIG.search(named) or PROFILE.search(named.lower()))


def whole_name(named: str) -> str:
    """The name of the GPU that is cut: without the profile."""
    bare = re.sub(r"\([^)]*\bmig\b[^)]*\)", " ", named, flags=re.IGNORECASE)
    bare = PROFILE.sub(" ", re.sub(_MIG, " ", bare).lower())
    return re.sub(r"[\s\-_.]+$", "", bare.strip())


def slice_of(sheet: Sheet, named: str) -> Sheet:
    """The part of a GPU that a profile such as ``1g.5gb`` gives.

    Peaks fall with the units, bandwidth and cache with the memory; power and price belong to the
    whole and are unknown of a part.

    Raises:
        ContractError: the profile is not told, or this GPU cannot be cut.
    """
    found = PROFILE.search(named.lower())
    each = UNITS_OF_A_SLICE.get(sheet.architecture)
    if found is None or each is None or sheet.num_units is None or sheet.memory_bytes is None:
        raise ContractError(
            f"{named!r} is a part (MIG) of {sheet.id}, and its size cannot be told",
            code="FW119",
            remedy="Name the profile, such as '1g.10gb', of an A100, A30, H100 or H200.",
        )
    units = min(int(found[2]) * each, sheet.num_units.value)
    gigabytes = sheet.memory_bytes.value / 1e9
    parts = max(1, round(float(found[3]) / gigabytes * _EIGHTHS))
    return _cut(sheet, profile=found[0], share=units / sheet.num_units.value,
                of_memory=min(1.0, parts / _EIGHTHS))  # fmt: skip


def _cut(sheet: Sheet, *, profile: str, share: float, of_memory: float) -> Sheet:
    def part(fact: Fact | None, of: float) -> Fact | None:
        return fact and fact.model_copy(update={"value": fact.value * of})

    return sheet.model_copy(
        update={
            "id": f"{sheet.id}-{profile.split('x')[-1]}",
            "name": f"{sheet.name}, MIG {profile}",
            "num_units": part(sheet.num_units, share),
            "peaks": {dtype: part(fact, share) for dtype, fact in sheet.peaks.items()},
            "memory_bytes": part(sheet.memory_bytes, of_memory),
            "bandwidth_bytes_per_s": part(sheet.bandwidth_bytes_per_s, of_memory),
            "onchip_bytes": part(sheet.onchip_bytes, of_memory),
            "link": "",
            "link_bytes_per_s": None,
            "tdp_w": None,
            "idle_w": None,
            "price_usd": None,
            "rents": (),
            "note": f"of {sheet.id}: {share:.0%} of the units, {of_memory:.0%} of the memory",
        }
    )
