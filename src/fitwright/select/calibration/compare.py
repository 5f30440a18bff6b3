"""What was measured here beside what is published of the same processor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.records.device import Device
from fitwright.records.profile import Profile
from fitwright.records.sheet import Sheet


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """One quantity measured here and published, the latter for the cores that are ours.

    Attributes:
        what: ``GEMM float32`` or ``memory bandwidth``.
        share: measured over published.
    """

    what: str
    measured: float
    published: float
    unit: str

    @property
    def share(self) -> float:
        """Measured over published."""
        return self.measured / self.published


def published_sheet(device: Device, sheets: Mapping[str, Sheet]) -> Sheet | None:
    """The sheet of this processor: the longest name whose words all occur in ours.

    Virtual machines often hide the model; then there is none.
    """
    here = _words(device.name)
    fitting = [
        s
        for s in sheets.values()
        if s.kind == device.kind and _words(s.name) <= here and any(map(_is_model, _words(s.name)))
    ]
    return max(fitting, key=lambda s: len(_words(s.name)), default=None)


def _words(name: str) -> frozenset[str]:
    plain = re.sub(r"\((?:r|tm)\)", " ", name.lower())
    return frozenset(re.findall(r"[a-z0-9+-]+", plain))


def _is_model(word: str) -> bool:
    return any(c.isdigit() for c in word)


def beside_published(profile: Profile, device: Device, sheet: Sheet) -> tuple[Beside, ...]:
    """Peaks in proportion to the cores in use; the bandwidth is that of the whole processor."""
    cores = sheet.num_units.value if sheet.num_units else float(device.num_cores)
    share = min(1.0, device.num_cores / cores)
    found = [
        Beside(
            what=f"GEMM {dtype}",
            measured=peak,
            published=sheet.peaks[dtype].value * share,
            unit="FLOP/s",
        )
        for dtype, peak in profile.peaks.items()
        if dtype in sheet.peaks
    ]
    if sheet.bandwidth_bytes_per_s is not None:
        found.append(
            Beside(
                what="memory bandwidth",
                measured=profile.bandwidth_bytes_per_s,
                published=sheet.bandwidth_bytes_per_s.value,
                unit="B/s",
            )
        )
    return tuple(found)
