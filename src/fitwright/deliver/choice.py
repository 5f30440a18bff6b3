"""The page of `fitwright select`: devices for one model or several, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitwright import units
from fitwright.deliver.choice_wording import chance, refusals_told, unmeasured_told
from fitwright.deliver.pages import render, sentence
from fitwright.deliver.svg import Svg
from fitwright.deliver.svg_devices import (
    Cell,
    Roofed,
    draw_heat,
    draw_roofs,
    draw_trade,
    roofed,
)
from fitwright.deliver.wording import bound_text, figure_title, interval_text, plain, quantity
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.model import ModelSummary
from fitwright.records.need import Need
from fitwright.records.prospect import EXPECTED, Prospect
from fitwright.records.run import write_atomically
from fitwright.records.selection import Selection
from fitwright.records.sheet import Sheet

ROWS = 30
"""Devices in the table; the rest is counted."""
ROOFS = 9
HEAT_COLUMNS = 24
REFUSALS = 40
BYTES = {"float16": 2, "bfloat16": 2, "int8": 1, "float8": 1, "int4": 0.5, "float4": 0.5}


@dataclass(frozen=True, kw_only=True)
class ChosenFor:
    """A selection and what it was made from.

    Attributes:
        sheets: of every device looked at, by id.
    """

    selection: Selection
    need: Need
    summary: ModelSummary
    sheets: Mapping[str, Sheet]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A device in the table of the page; numbers as text."""

    prospect: Prospect
    chance: str
    cells: tuple[tuple[str, str], ...]
    evidence: str


def write_choice(chosen: Sequence[ChosenFor], path: Path) -> Path:
    """Write the page and return where it is.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    values = {"models": [_model(c) for c in chosen], "heat": _heat(chosen), "title": _title(chosen)}
    write_atomically(path, render("choice.html.j2", **values).encode())
    return path


def _title(chosen: Sequence[ChosenFor]) -> str:
    names = [plain(Path(c.summary.path).name) for c in chosen]
    return names[0] if len(names) == 1 else f"{len(names)} models"


def _model(chosen: ChosenFor) -> dict[str, object]:
    selection, prospects = chosen.selection, chosen.selection.prospects
    refused = refusals_told(selection.refused)
    unmeasured = sorted({quality for p in prospects for quality in p.unmeasured})
    return {
        "name": plain(Path(chosen.summary.path).name),
        "lead": _lead(chosen),
        "limits": [*_limits(chosen), *((q, "never predicted") for q in unmeasured)],
        "rows": [_row(p) for p in prospects[:ROWS]],
        "hidden": max(0, len(prospects) - ROWS),
        "roofs": _roofs(chosen),
        "costs": draw_trade(
            prospects,
            across=("latency_p99", "p99 latency"),
            up=("cost", "USD per million inferences"),
        ),
        "energies": draw_trade(
            prospects, across=("energy", "energy per inference"), up=("latency_p99", "p99 latency")
        ),
        "paragraphs": [(p, sentences(p)) for p in prospects[:ROWS]],
        "selection": selection,
        "unmeasured": unmeasured,
        "refused": refused[:REFUSALS],
        "refused_hidden": max(0, len(refused) - REFUSALS),
    }


def _limits(chosen: ChosenFor) -> list[tuple[str, str]]:
    return [(figure_title(x.figure), bound_text(x)) for x in chosen.need.limits]


def _lead(chosen: ChosenFor) -> str:
    """How many devices can, and which is first."""
    selection = chosen.selection
    counts = [sum(p.expected == e for p in selection.prospects) for e in EXPECTED]
    words = ("likely meet the contract", "unknown until measured", "cannot")
    parts = [f"{n} {w}" for n, w in zip(counts, words, strict=True) if n]
    unmeasured = unmeasured_told(selection.prospects)
    if unmeasured:
        parts[0] += f" ({unmeasured})"
    if selection.refused:
        parts.append(f"{len(selection.refused)} refused by a hard limit")
    summary = chosen.summary
    return (
        f"{units.count(summary.flops, 'FLOP')} and {units.bytes_(summary.weight_bytes)} of weights "
        f"a query. Of {len(selection.prospects) + len(selection.refused)} devices "
        f"{', '.join(parts) or 'none was looked at'}."
    )


def sentences(prospect: Prospect) -> str:
    """The whole paragraph of a device."""
    texts = list(prospect.reasons)
    if prospect.measurement is not None:
        texts.append(f"cheapest measurement: {prospect.measurement.text}")
    return " ".join(sentence(text) for text in texts)


def _row(prospect: Prospect) -> Row:
    latency = prospect.way.latency_s
    figures = ("latency_p99", "throughput", "cost", "energy", "peak_memory")
    return Row(
        prospect=prospect,
        chance="" if prospect.probability is None else chance(prospect.probability),
        cells=tuple(_cell(prospect.figures.get(name)) for name in figures),
        evidence=latency.rung if isinstance(latency, Estimate) else "none",
    )


def _cell(figure: Estimate | NoData | None) -> tuple[str, str]:
    """Value and band, or nothing and the reason."""
    if figure is None or isinstance(figure, NoData):
        return "no data", "" if figure is None else plain(figure.reason)
    value = quantity(figure.value, figure.unit).removesuffix(" USD/1M")
    return value, interval_text(figure.figure()).replace(" USD/1M", "")


def _roofs(chosen: ChosenFor) -> Svg | None:
    """The best devices, and the best of every kind that is not among them."""
    found = [
        (r, _intensity(chosen.summary, r.prospect.way.dtype))
        for p in _of_every_kind(chosen.selection.prospects)
        if (r := roofed(p, chosen.sheets[p.device_id], flops=chosen.summary.flops)) is not None
    ]
    devices: list[Roofed] = [r for r, _ in found[:ROOFS]]
    return draw_roofs(devices, intensities=[i for _, i in found[:ROOFS]])


def _of_every_kind(prospects: Sequence[Prospect]) -> Iterator[Prospect]:
    first = {p.kind: p for p in reversed(prospects)}
    yield from first.values()
    yield from (p for p in prospects if p not in first.values())


def _intensity(summary: ModelSummary, dtype: str) -> float:
    """FLOP per byte of weights and of what crosses the boundary, in that dtype."""
    boundary = max(summary.weight_bytes, 1)
    return max(summary.flops, 1) / (boundary * BYTES.get(dtype, 4) / 4)


def _heat(chosen: Sequence[ChosenFor]) -> Svg | None:
    """Every model over the devices that do best for any of them."""
    columns = _columns(chosen)
    if not columns:
        return None
    rows = {Path(c.summary.path).name: [_heat_cell(c, d) for d in columns] for c in chosen}
    return draw_heat(rows, columns=columns)


def _columns(chosen: Sequence[ChosenFor]) -> list[str]:
    """Devices in turn from each model's ranking, each once."""
    longest = max((len(c.selection.prospects) for c in chosen), default=0)
    names = (
        c.selection.prospects[place].device_id
        for place in range(longest)
        for c in chosen
        if place < len(c.selection.prospects)
    )
    return list(dict.fromkeys(names))[:HEAT_COLUMNS]


def _heat_cell(chosen: ChosenFor, device: str) -> Cell:
    times = {
        p.device_id: p.way.latency_s.value
        for p in chosen.selection.prospects
        if isinstance(p.way.latency_s, Estimate)
    }
    if device not in times:
        return Cell(ratio=None, words="–", hint=f"{device}: refused, or no prediction")
    ratio = times[device] / min(times.values())
    return Cell(
        ratio=ratio,
        words=f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}",
        hint=f"{device}: {units.seconds(times[device])}",
    )
