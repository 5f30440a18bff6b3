"""What calibration found, as evidence: a row per family, backend and dtype."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from fitwright.perf.calibrated import seconds, sizes
from fitwright.perf.calibrated_fit import Point, fitted
from fitwright.perf.work import Work
from fitwright.records.device import Device
from fitwright.records.evidence import Evidence
from fitwright.select.calibration.passes import Found
from fitwright.select.calibration.probes import Probe

BEFORE: Mapping[str, str] = {
    "elementwise": "softmax",
    "conv_transpose": "pool",
    "recurrent": "move",
    "where": "elementwise",
    "quantise": "transcendental",
}
"""Families whose layers hold a kernel of another family, which is fitted first."""
SMALL_S = 100e-6  # a shorter layer tells nothing of the peak
FASTEST_SHARE = 0.1  # of the products: a single one may look too fast
NUM_SHORTEST = 10  # chains that tell what a run costs besides its kernels
LARGE_BYTES = 2 << 20  # of an output whose copy tells how long copies take
VIEWS_A_LAYER = 2


def peaks_of(device: Device, found: Sequence[Found]) -> dict[str, float]:
    """The rate of the fastest tenth of the products, or of the device's own probe, by dtype."""
    peaks = {d: f.value for d, f in device.peaks.items() if f.value}
    for one in found:
        dtype = one.combination.dtype
        rates = sorted(
            slow * sum(w.flops for _, w in probe.works) / layer_s
            for probe, layer_s, slow in zip(one.probes, one.layer_s, one.slowdown, strict=True)
            if probe.family == "gemm" and layer_s > SMALL_S
        )
        if rates:
            fast = rates[-math.ceil(FASTEST_SHARE * len(rates))]
            peaks[dtype] = max(peaks.get(dtype, 0.0), fast)
    return peaks


def rows_of(
    found: Found, device: Device, peaks: Mapping[str, float], bandwidth: float
) -> Iterator[Evidence]:
    """The evidence of one backend and dtype, family by family."""
    dtype, runtime = found.combination.dtype, found.combination.runtime.name
    if dtype not in peaks:
        return
    rows: dict[str, Evidence] = {}
    families = dict.fromkeys(p.family for p in found.probes)
    for family in sorted(families, key=lambda f: list(BEFORE).index(f) + 1 if f in BEFORE else 0):
        row = fitted(
            _points(found, family, rows, peak=peaks[dtype], bandwidth=bandwidth),
            what=f"{family}@{runtime}",
            dtype=dtype,
            scope=device.id,
            peak=peaks[dtype],
            bandwidth=bandwidth,
            source=f"fitwright calibrate, {runtime} {device.software.get(runtime, '')}",
        )
        if row is not None:
            rows[family] = row
    yield from rows.values()
    if dtype == "float32":
        yield _run_row(found, device)


def _points(
    found: Found, family: str, rows: Mapping[str, Evidence], *, peak: float, bandwidth: float
) -> list[Point]:
    """The layers of one family; what kernels of other families in them take is taken off."""
    points = []
    measured = zip(found.probes, found.layer_s, found.slowdown, strict=True)
    for probe, layer_s, slowdown in measured:
        if probe.family != family:
            continue
        own = tuple(w for name, w in probe.works if name == family)
        for name, work in probe.works:
            if name != family:
                layer_s -= _expected_s(work, rows.get(name), peak=peak, bandwidth=bandwidth)
        points.append(Point(works=own, seconds=layer_s, slowdown=slowdown))
    return points


def _expected_s(work: Work, row: Evidence | None, *, peak: float, bandwidth: float) -> float:
    """What a kernel of a family that was fitted before takes; 0 where that failed."""
    if row is None:
        return 0.0
    return float(seconds(sizes([work]), row.constants, peak=peak, bandwidth=bandwidth)[0])


def _run_row(found: Found, device: Device) -> Evidence:
    """What a run costs besides its kernels: chains of a single layer less that layer."""
    runtime = found.combination.runtime.name
    rests = [
        (s, rest, probe)
        for s, layer, probe in zip(found.single_s, found.layer_s, found.probes, strict=True)
        if 0 < layer < s and (rest := s - layer)
    ]
    shortest = sorted(rests, key=lambda r: r[0])[:NUM_SHORTEST]
    guess = median(r for _, r, _ in shortest) if shortest else 1e-5
    copies = [(r - guess) / out for _, r, p in rests if (out := _output_bytes(p)) >= LARGE_BYTES]
    byte_s = max(median(copies), 0.0) if copies else 0.0
    floor = median(r - byte_s * _output_bytes(p) for _, r, p in shortest) if shortest else guess
    views = [
        max(layer, 0.0) / VIEWS_A_LAYER
        for layer, probe in zip(found.layer_s, found.probes, strict=True)
        if probe.family == "view"
    ]
    return Evidence(
        what=f"run@{runtime}",
        rung="measured",
        scope=device.id,
        constants={
            "floor_s": max(floor, 1e-6),
            "view_s": median(views) if views else 0.0,
            "output_byte_s": byte_s,
        },
        spread=1.5,
        num_points=len(shortest),
        source=f"fitwright calibrate, {runtime}: the {len(shortest)} shortest chains, "
        f"{len(copies)} with large outputs, {len(views)} of views",
    )


def _output_bytes(probe: Probe) -> int:
    """Of float32; a layer gives back what it was given."""
    return 4 * math.prod(next(iter(probe.inputs.values())))
