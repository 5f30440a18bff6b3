"""`fitwright doctor`: what is installed and what is missing; how this machine is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fitwright import units
from fitwright.cli.output import Json, answer, lines, table

if TYPE_CHECKING:
    from fitwright.records.device import Device
    from fitwright.records.figure import Figure


def doctor(json: Json = False) -> None:
    """What is installed, what is missing and how to get it; paste it into bug reports."""
    from fitwright.backends import RUNTIMES
    from fitwright.bench.energy import energy_meter
    from fitwright.deliver.environment import describe_environment
    from fitwright.errors import Exit

    here = describe_environment("fitwright doctor")
    found = {name: runtime.availability() for name, runtime in RUNTIMES.items()}
    meter = energy_meter()
    energy = meter.source if meter else "no readable counter: energy will be estimated"
    works = any(not a.missing for a in found.values())
    if json:
        backends = {n: {"version": a.version, "missing": a.missing} for n, a in found.items()}
        answer({"environment": here.model_dump(), "backends": backends, "energy": energy})
        raise typer.Exit(Exit.MET if works else Exit.MISSING)
    lines(
        f"fitwright {here.fitwright}, Python {here.python}, {here.os}",
        f"{here.cpu}, {here.num_cores} cores, {units.bytes_(here.memory_bytes)}",
        f"energy: {energy}",
    )
    rows = [(n, a.version or "–", a.missing or "ready") for n, a in found.items()]
    table("Backends", ("backend", "version", "state"), rows)
    table("Packages", ("package", "version"), sorted(here.packages.items()))
    raise typer.Exit(Exit.MET if works else Exit.MISSING)


def described(device: Device) -> None:
    """This machine with its measured peaks."""
    lines(
        f"{device.id}: {device.name} ({device.kind}, {device.architecture})",
        f"{device.num_cores} cores, {units.bytes_(device.memory_bytes)}",
        f"instruction sets: {', '.join(device.instruction_sets) or 'unknown'}",
        f"backends: {', '.join(device.backends)}",
    )
    table("Peaks", ("what", "value", "label", "source"), _peaks(device))


def _peaks(device: Device) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, Figure]] = [(f"GEMM {d}", f) for d, f in device.peaks.items()]
    rows.append(("memory bandwidth", device.bandwidth))
    rows.extend((("idle power", device.idle_power), ("loaded power", device.loaded_power)))
    return [
        (name, "–" if f.value is None else units.show(f.value, f.unit), f.label, f.source)
        for name, f in rows
    ]
