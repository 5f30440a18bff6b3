"""Rows of predicted against measured times, their medians, and the table of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from fitwright.records.profile import Profile


@dataclass(frozen=True, kw_only=True)
class Row:
    """One form of one model, predicted and measured; seconds.

    Attributes:
        refitted_s: with the scale learned from the other models.
        inside: whether the refitted band holds the measured time.
    """

    model: str
    runtime: str
    dtype: str
    measured_s: float
    predicted_s: float
    refitted_s: float
    inside: bool
    reason: str = ""

    def errors(self) -> tuple[float, float]:
        """Predicted over measured - 1, calibrated and refitted."""
        return self.predicted_s / self.measured_s - 1, self.refitted_s / self.measured_s - 1


def summary_of(made: Sequence[Row]) -> dict[str, Any]:
    """Median absolute errors, in all and by backend and dtype, and the coverage of the bands."""
    groups: dict[str, list[Row]] = {"all": [r for r in made if not r.reason]}
    for row in groups["all"]:
        groups.setdefault(f"{row.runtime} {row.dtype}", []).append(row)
    return {
        name: {
            "rows": len(some),
            "calibrated": median(abs(r.errors()[0]) for r in some),
            "refitted": median(abs(r.errors()[1]) for r in some),
            "inside": sum(r.inside for r in some) / len(some),
        }
        for name, some in groups.items()
        if some
    }


def tables(made: Sequence[Row], profile: Profile) -> str:
    """Markdown: every row, and the medians."""
    lines = [
        "| model | backend | dtype | measured | predicted | error | refitted |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in made:
        if row.reason:
            lines.append(
                f"| {row.model} | {row.runtime} | {row.dtype} | {row.measured_s * 1e3:.2f} ms "
                f"| no data: {row.reason} | | |"
            )
            continue
        plain, again = row.errors()
        lines.append(
            f"| {row.model} | {row.runtime} | {row.dtype} | {row.measured_s * 1e3:.2f} ms "
            f"| {row.predicted_s * 1e3:.2f} ms | {plain:+.0%} | {again:+.0%} |"
        )
    lines += ["", "| | rows | median error | refitted | in the 80 % band |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, part in summary_of(made).items():
        lines.append(
            f"| {name} | {part['rows']} | {part['calibrated']:.1%} | {part['refitted']:.1%} "
            f"| {part['inside']:.0%} |"
        )
    versions = ", ".join(f"{k} {v}" for k, v in profile.software.items())
    lines += ["", f"{profile.machine}; {versions}; calibrated in {profile.seconds:.0f} s."]
    return "\n".join(lines)
