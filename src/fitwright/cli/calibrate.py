"""`fitwright calibrate`: measure this machine kernel by kernel, for predictions made here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright import units
from fitwright.cli.output import Json, answer, lines, progress, table

if TYPE_CHECKING:
    from fitwright.records.device import Device
    from fitwright.records.evidence import Evidence
    from fitwright.records.profile import Profile

Again = Annotated[
    bool, typer.Option("--again", help="Measure again although a profile of this machine is kept.")
]


def calibrate(json: Json = False, again: Again = False) -> None:
    """Measure this machine kernel by kernel, in two minutes, for predictions made here.

    The profile is kept until the machine or a backend changes; runs add what they measure.
    """
    from fitwright.bench.energy import energy_meter
    from fitwright.errors import Exit
    from fitwright.select.calibration.calibrate import calibrate as measure
    from fitwright.select.calibration.calibrate import keep_profile, stored_profile
    from fitwright.select.local import local_device
    from fitwright.start import local_tools

    with progress(quiet=json and not sys.stderr.isatty()) as console:
        tools = local_tools(console)
        runtimes = tuple(tools.runtimes.values())
        console.step("this machine's peaks")
        device = local_device(executor=tools.executor, runtimes=runtimes, cache=tools.cache)
        earlier = stored_profile(device, cache=tools.cache)
        profile = None if again else earlier
        if profile is None:
            console.step("calibrating; leave the machine alone for two minutes")
            meter = energy_meter()
            profile = measure(
                device,
                executor=tools.executor,
                runtimes=runtimes,
                say=console.say,
                energy_j=meter.energy_j if meter else None,
                earlier=earlier,
            )
            if profile.rows and (why := keep_profile(profile, cache=tools.cache)):
                console.say(why)
    if json:
        answer({"profile": profile.model_dump(mode="json")})
    else:
        _show(profile, device)
    raise typer.Exit(Exit.MET if profile.rows else Exit.MISSING)


def _show(profile: Profile, device: Device) -> None:
    software = ", ".join(f"{name} {version}" for name, version in profile.software.items())
    lines(
        f"{profile.machine}, {device.num_cores} cores; {software}",
        f"measured in {units.seconds(profile.seconds)}; the probes got {profile.cpu_share:.0%} of "
        "the CPU time they could have used",
        f"caches by bandwidth: {', '.join(map(units.bytes_, profile.cache_bytes)) or 'none found'}",
    )
    for name, figure in (("idle", profile.idle_power), ("loaded", profile.loaded_power)):
        known = "–" if figure.value is None else units.show(figure.value, figure.unit)
        lines(f"{name} power: {known} ({figure.label}: {figure.source})")
    sizes = [
        (
            units.bytes_(row.bytes),
            units.count(row.copy_bytes_per_s, "B/s"),
            units.count(row.add_bytes_per_s, "B/s"),
        )
        for row in profile.by_size
    ]
    table("Bandwidth by size", ("bytes touched", "copy", "sum of two"), sizes)
    headers = ("kernels", "dtype", "at best", "half at m, n, k", "traffic", "floor", "80 % band")
    table("Kernels", headers, [_kernels(row, profile) for row in profile.rows])
    _show_published(profile, device)
    lines(*profile.notes)


def _kernels(row: Evidence, profile: Profile) -> tuple[str, ...]:
    c, peak = row.constants, profile.peaks.get(row.dtype, 0.0)
    floor = units.seconds(c["floor_s"])
    band = f"÷ × {row.spread:.2f} ({row.num_points} shapes)"
    if "compute_share" not in c:
        return (row.what, row.dtype, "", "", "", floor, band)
    products = row.what.partition("@")[0] in ("gemm", "products", "recurrent") or "conv" in row.what
    best = units.count(peak * c["compute_share"], "FLOP/s") if products else ""
    halves = ", ".join(f"{c[name]:.3g}" for name in ("m_half", "n_half", "k_half"))
    traffic = units.count(profile.bandwidth_bytes_per_s * c["bandwidth_factor"], "B/s")
    return (row.what, row.dtype, best, halves if products else "", traffic, floor, band)


def _show_published(profile: Profile, device: Device) -> None:
    """Against the catalogue, where it knows the processor."""
    from fitwright.catalog.sheets import load_sheets
    from fitwright.select.calibration.compare import beside_published, published_sheet

    sheet = published_sheet(device, load_sheets())
    if sheet is None:
        return lines("the catalogue has no sheet of this processor to compare with")
    rows = [
        (
            b.what,
            units.count(b.measured, b.unit),
            units.count(b.published, b.unit),
            f"{b.share:.0%}",
        )
        for b in beside_published(profile, device, sheet)
    ]
    title = f"Against {sheet.id} as published, for {device.num_cores} cores"
    return table(title, ("what", "measured", "published", "share"), rows)
