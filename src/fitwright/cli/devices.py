"""`fitwright devices`: this machine, the catalogue, and devices of the user's own."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright.cli.output import Json, answer, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fitwright.records.device import Device
    from fitwright.records.sheet import Fact, Sheet

LOCAL = "local"
devices = typer.Typer(
    name="devices", help="This machine, the catalogue of devices, and devices of your own."
)
Measure = Annotated[
    bool, typer.Option("--measure", help="Measure again instead of using the cache.")
]
Id = Annotated[str, typer.Argument(metavar="ID|FILE|local", help="One device.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A device file (YAML).")]


class Sort(StrEnum):
    """What `devices list` is ordered by."""

    ID = "id"
    KIND = "kind"
    MEMORY = "memory"
    BANDWIDTH = "bandwidth"
    PEAK = "16-bit"
    INT8 = "int8"
    TDP = "tdp"
    PRICE = "price"
    YEAR = "year"


@devices.callback(invoke_without_command=True)
def here(context: typer.Context, json: Json = False, measure: Measure = False) -> None:
    """This machine, the catalogue of devices, and devices of your own.

    Alone: this machine, with its measured peaks.
    """
    if context.invoked_subcommand is None:
        _show_local(json=json, measure=measure)


@devices.command("list")
def list_devices(
    kind: Annotated[str, typer.Option(help="cpu, gpu, tpu, npu, fpga or asic.")] = "",
    vendor: Annotated[str, typer.Option(help="As the catalogue spells it.")] = "",
    min_memory: Annotated[str, typer.Option(help="At least so much memory, e.g. 24 GB.")] = "",
    sort: Annotated[Sort, typer.Option(help="Quantities: largest first.")] = Sort.KIND,
    json: Json = False,
) -> None:
    """The devices of the catalogue."""
    from fitwright.catalog.sheets import load_sheets
    from fitwright.cli.sheets import listed

    every = load_sheets().values()
    kept: list[Sheet] = list(every)
    if kind:
        wanted = _one_of(kind, {s.kind for s in every}, "--kind")
        kept = [s for s in kept if s.kind == wanted]
    if vendor:
        wanted = _one_of(vendor, {s.vendor for s in every}, "--vendor")
        kept = [s for s in kept if s.vendor == wanted]
    if min_memory:
        least = _bytes(min_memory)
        kept = [s for s in kept if s.memory_bytes and s.memory_bytes.value >= least]
    kept.sort(key=_key(sort))
    if json:
        return answer({"devices": [sheet.model_dump(mode="json") for sheet in kept]})
    return listed(kept)


@devices.command()
def show(device: Id, json: Json = False, measure: Measure = False) -> None:
    """One device: every value with its source and how far to trust it."""
    from fitwright.catalog.clusters import clusters_of
    from fitwright.cli.sheets import described
    from fitwright.validate.device import find_device

    if device == LOCAL:
        return _show_local(json=json, measure=measure)
    sheet = find_device(device)
    clusters = [cluster.id for cluster in clusters_of(sheet.id)]
    if json:
        return answer({"device": sheet.model_dump(mode="json"), "clusters": clusters})
    return described(sheet, clusters=clusters)


@devices.command()
def compare(
    ids: Annotated[list[str], typer.Argument(metavar="ID|FILE|local...", help="Two or more.")],
    json: Json = False,
) -> None:
    """Devices side by side, with ratios to the first."""
    from fitwright.cli.sheets import compared, comparison
    from fitwright.validate.device import find_device

    sheets = [
        _local(quiet=json)[1] if name == LOCAL else find_device(name) for name in dict.fromkeys(ids)
    ]
    if json:
        rows = {what: _row(found, unit) for what, unit, found in comparison(sheets)}
        return answer({"devices": [sheet.id for sheet in sheets], "values": rows})
    return compared(sheets)


@devices.command()
def new(
    file: File,
    like: Annotated[
        str, typer.Option(metavar="ID", help="Start from this device of the catalogue.")
    ] = "",
    json: Json = False,
) -> None:
    """Write a device file: a template to fill in, or a copy to change."""
    from fitwright.catalog.sheets import copy_of, template
    from fitwright.errors import UsageError

    text = copy_of(like, name=file.stem) if like else template()
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}",
            code="FW126",
            remedy="Give the name of a new file in a folder that exists.",
        ) from error
    if json:
        return answer({"file": str(file)})
    return lines(f"{file}: edit it, then run `fitwright devices check {file}`")


@devices.command()
def check(file: File, json: Json = False) -> None:
    """Check a device file: all that is wrong, or what it lacks."""
    from fitwright.catalog.sheets import cautions, sheet_from_file
    from fitwright.errors import ContractError

    try:
        sheet = sheet_from_file(file)
    except ContractError as error:
        if json:
            first, *rest = error.rule.splitlines()
            wrong = [line.strip() for line in rest] or [first]
            answer({"valid": False, "wrong": wrong, "code": error.code})
        else:
            lines(error.rule, error.remedy)
        raise typer.Exit(error.exit) from error
    if json:
        return answer({"valid": True, "id": sheet.id, "cautions": cautions(sheet)})
    return lines(f"{file}: {sheet.name} ({sheet.id}) can be used", *cautions(sheet))


def _show_local(*, json: bool, measure: bool) -> None:
    from fitwright.cli.doctor import described

    device, _ = _local(quiet=json, measure=measure)
    if json:
        return answer({"devices": [device.model_dump(mode="json")]})
    return described(device)


def _local(*, quiet: bool, measure: bool = False) -> tuple[Device, Sheet]:
    """This machine, and how it stands beside devices of the catalogue."""
    from fitwright.cli.output import progress
    from fitwright.perf.local import local_sheet
    from fitwright.select.calibration.calibrate import stored_profile
    from fitwright.select.local import local_device
    from fitwright.start import local_tools

    with progress(quiet=quiet or not sys.stderr.isatty()) as console:
        tools = local_tools(console)
        console.step("measuring this machine's peaks (kept for later runs)")
        device = local_device(
            executor=tools.executor,
            runtimes=tuple(tools.runtimes.values()),
            cache=tools.cache,
            force=measure,
        )
        return device, local_sheet(device, stored_profile(device, cache=tools.cache))


def _one_of(word: str, known: set[str], option: str) -> str:
    """The known word, whatever its case."""
    from fitwright.errors import UsageError

    for name in known:
        if name.lower() == word.lower():
            return name
    raise UsageError(
        f"{option}: there is no {word!r} in the catalogue; known: {', '.join(sorted(known))}",
        code="FW103",
        remedy="Give one of these.",
    )


def _bytes(text: str) -> float:
    from fitwright.errors import UsageError
    from fitwright.units import parse

    try:
        return parse(text, "bytes")
    except ValueError as error:
        raise UsageError(f"--min-memory: {error}", code="FW103") from error


def _key(sort: Sort) -> Callable[[Sheet], tuple[object, ...]]:
    """Largest first, what is unknown last; names in alphabetical order."""
    from fitwright.cli.sheets import half_precision

    def key(sheet: Sheet) -> tuple[object, ...]:
        match sort:
            case Sort.ID:
                return (sheet.id,)
            case Sort.KIND:
                return (sheet.kind, sheet.vendor, sheet.id)
            case Sort.YEAR:
                return (-(sheet.year or 0), sheet.id)
        fact = {
            Sort.MEMORY: sheet.memory_bytes,
            Sort.BANDWIDTH: sheet.bandwidth_bytes_per_s,
            Sort.PEAK: half_precision(sheet),
            Sort.INT8: sheet.peaks.get("int8"),
            Sort.TDP: sheet.tdp_w,
            Sort.PRICE: sheet.price_usd,
        }[sort]
        return (-fact.value if fact else float("inf"), sheet.id)

    return key


def _row(found: Sequence[Fact | None], unit: str) -> dict[str, object]:
    values = [fact.value if fact else None for fact in found]
    first = values[0]
    ratios = [v / first if v is not None and first is not None else None for v in values]
    return {"unit": unit, "values": values, "ratios": ratios}
