"""How a choice of hardware reads: one voice for its page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from fitwright.records.prospect import Prospect
from fitwright.records.selection import Refused

NAMED = 3
"""Devices named of those that are refused for one and the same reason."""


def refusals_told(refused: Sequence[Refused]) -> list[tuple[str, str]]:
    """Devices and the reason, once for all that it holds for word by word."""
    devices: dict[str, list[str]] = {}
    for row in refused:
        devices.setdefault(row.reason, []).append(row.device_id)
    return [(_names(names), reason) for reason, names in devices.items()]


def _names(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def unmeasured_told(prospects: Sequence[Prospect]) -> str:
    """``accuracy unmeasured for 3 of them``: what "likely meets" leaves out; else empty."""
    likely = [p for p in prospects if p.expected == "likely meets"]
    left_out = [p for p in likely if p.unmeasured]
    if not left_out:
        return ""
    many = "all" if len(left_out) == len(likely) else f"{len(left_out)}"
    return f"{left_out[0].unmeasured[0]} unmeasured for {many} of them"


def chance(probability: float) -> str:
    """Whole per cent, never 0 or 100 where it is neither."""
    if probability >= 0.995:
        return "over 99 %"
    return "under 1 %" if probability < 0.005 else f"{probability * 100:.0f} %"
