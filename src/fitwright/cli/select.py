"""`fitwright select`: which hardware can do it, how many, at what cost, and how sure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright import units
from fitwright.cli.output import Json, answer, lines, progress
from fitwright.errors import Exit
from fitwright.start import open_target

if TYPE_CHECKING:
    from fitwright.flow.choose import Chosen
    from fitwright.records.estimate import Estimate, NoData
    from fitwright.records.prospect import Expected, Prospect
    from fitwright.records.selection import Selection

WIDTH = 80
ROW = "{:>2} {:<17} {:<13} {:>7} {:>8} {:>7} {:>4} {:<8} {:<6}"
HEADER = ("", "device", "contract", "p99", "USD/1M", "energy", "num", "dtype", "known")
REFUSED_SHOWN = 12
LEGEND = (
    "contract: by the 80 % band, and the chance; num: devices; known: nearest measurement, here, "
    "of the device, its architecture, family or kind."
)
RUNGS = {"architecture": "arch.", "measured": "here"}

Targets = Annotated[
    list[str], typer.Argument(metavar="MODEL|CONTRACT...", help="Models or contracts (YAML).")
]
Device = Annotated[
    list[str] | None,
    typer.Option(
        "--device", metavar="ID", help="Tell everything about this device; may be repeated."
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, help="How many devices the table shows.")]
Page = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")
]


def select(
    targets: Targets, device: Device = None, top: Top = 20, html: Page = None, json: Json = False
) -> None:
    """Step 2: which hardware can do it, how many, at what cost, and how sure; nothing is run."""
    from fitwright.flow.choose import choose
    from fitwright.start import local_tools

    asked = device or []
    opened = [open_target(target) for target in targets]
    with progress(quiet=json) as console:
        tools = local_tools(console)
        found = [choose(c, folder=f, tools=tools, also=asked) for c, f in opened]
    if html is not None:
        _write_page(found, html)
    if json:
        _answer(found)
    else:
        for chosen in found:
            _print(chosen, device=_ids(asked, chosen), top=top)
    if any(_nobody(chosen.selection) for chosen in found):
        raise typer.Exit(Exit.NOT_MET)


def _ids(asked: Sequence[str], chosen: Chosen) -> list[str]:
    """Files are named by what they describe."""
    files = {Path(a).stem: a for a in asked}
    return [s for s in chosen.sheets if s in asked or s in files]


def _nobody(selection: Selection) -> bool:
    """Whether not a single device may meet the contract."""
    return all(p.expected == "cannot meet" for p in selection.prospects)


def _write_page(found: Sequence[Chosen], path: Path) -> None:
    from fitwright.deliver.choice import ChosenFor, write_choice

    write_choice(
        [
            ChosenFor(selection=c.selection, need=c.need, summary=c.summary, sheets=c.sheets)
            for c in found
        ],
        path,
    )


def _answer(found: Sequence[Chosen]) -> None:
    documents = [c.selection.model_dump(mode="json") for c in found]
    answer(documents[0] if len(documents) == 1 else {"selections": documents})


def _print(chosen: Chosen, *, device: Sequence[str], top: int) -> None:
    from fitwright.deliver.choice_wording import refusals_told

    selection = chosen.selection
    if device:
        for name in device:
            _tell(selection, name)
        return
    lines("", *textwrap.wrap(f"{Path(chosen.summary.path).name}: {_counts(selection)}", WIDTH))
    if selection.prospects:
        _table(selection.prospects, top=top)
        _paragraph("why the first", selection.prospects[0])
    _list("together for less", [m.text for m in selection.mixes])
    _list("what would have to give", [c.text for c in selection.concessions])
    refused = [f"{who}: {reason}" for who, reason in refusals_told(selection.refused)]
    _list("refused", refused[:REFUSED_SHOWN])
    _more(len(refused) - REFUSED_SHOWN, "refusal", "--json shows all")
    rules = [f"{c.text}: {c.holds}; {'; '.join(c.reasons)}" for c in selection.claims]
    _list("rules of thumb, for this model", rules)
    _list("notes", selection.notes)


def _counts(selection: Selection) -> str:
    from fitwright.deliver.choice_wording import unmeasured_told

    total = len(selection.prospects) + len(selection.refused)
    kinds = [p.expected for p in selection.prospects]
    parts = [f"{kinds.count(e)} {words}" for e, words in _EXPECTED.items() if kinds.count(e)]
    unmeasured = unmeasured_told(selection.prospects)
    if unmeasured:
        parts[0] += f" ({unmeasured})"
    if selection.refused:
        parts.append(f"{len(selection.refused)} refused")
    return f"{total} device{'s' if total != 1 else ''}: {', '.join(parts)}"


_EXPECTED: dict[Expected, str] = {
    "likely meets": "likely meet the contract",
    "unknown: measure first": "unknown",
    "cannot meet": "cannot",
}


def _table(prospects: Sequence[Prospect], *, top: int) -> None:
    """The devices, and beneath them what the words of the columns mean."""
    lines("", ROW.format(*HEADER).rstrip())
    for number, prospect in enumerate(prospects[:top], start=1):
        lines(_row(number, prospect))
    _more(len(prospects) - top, "device", "--top or --json shows all")
    for text in (LEGEND, *_marked(prospects[:top])):
        lines(*textwrap.wrap(text, WIDTH, initial_indent="   ", subsequent_indent="   "))


def _marked(prospects: Sequence[Prospect]) -> list[str]:
    """What the mark in the column `contract` stands for, where a row has it."""
    marked = [p for p in prospects if _mark(p)]
    if not marked:
        return []
    dtypes = ", ".join(sorted({p.way.dtype for p in marked}))
    return [
        f"* {marked[0].unmeasured[0]} unmeasured in {dtypes}: it is never predicted; word and "
        "share are of the other limits, and what rounds comes behind what does not. `fitwright "
        "fit` measures it."
    ]


def _mark(prospect: Prospect) -> str:
    return "" if prospect.verdict == prospect.expected else "*"


def _row(number: int, prospect: Prospect) -> str:
    from fitwright.records.estimate import Estimate

    latency = prospect.way.latency_s
    known = RUNGS.get(latency.rung, latency.rung) if isinstance(latency, Estimate) else "none"
    return ROW.format(
        number,
        _cut(prospect.device_id, 17),
        _chance(prospect) + _mark(prospect),
        _shown(prospect, "latency_p99"),
        _shown(prospect, "cost").removesuffix(" USD/1M"),
        _shown(prospect, "energy"),
        _number(prospect.num_devices),
        prospect.way.dtype,
        known,
    ).rstrip()


def _number(devices: int) -> str:
    return f"{devices}" if devices < 10_000 else f"{devices / 1000:.0f}k"


def _chance(prospect: Prospect) -> str:
    from fitwright.deliver.choice_wording import chance

    word = prospect.expected.split(":")[0].split(" ")[0]
    if prospect.probability is None or not prospect.outlooks:
        return word if prospect.outlooks or word != "likely" else "no limits"
    share = chance(prospect.probability).replace("over ", ">").replace("under ", "<")
    return f"{word} {share}"


def _shown(prospect: Prospect, figure: str) -> str:
    from fitwright.records.estimate import Estimate

    found: Estimate | NoData | None = prospect.figures.get(figure)
    return units.show(found.value, found.unit) if isinstance(found, Estimate) else "no data"


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[: width - 1] + "…"


def _tell(selection: Selection, device: str) -> None:
    """Everything about one device."""
    for refused in (r for r in selection.refused if r.device_id == device):
        lines(*textwrap.wrap(f"{device}: refused, {refused.reason}", WIDTH))
    for prospect in (p for p in selection.prospects if p.device_id == device):
        _paragraph(prospect.name, prospect)
        for way in prospect.others:
            _also(way.dtype, way.runtime, way.latency_s)


def _also(dtype: str, runtime: str, latency: Estimate | NoData) -> None:
    from fitwright.records.estimate import Estimate

    time = units.seconds(latency.value) if isinstance(latency, Estimate) else latency.reason
    lines(*textwrap.wrap(f"- also {dtype} on {runtime}: {time}", WIDTH, subsequent_indent="  "))


def _paragraph(title: str, prospect: Prospect) -> None:
    lines("", *textwrap.wrap(f"{title}: {prospect.device_id}, {prospect.verdict}", WIDTH))
    text = ". ".join(prospect.reasons) + "."
    lines(*textwrap.wrap(text, WIDTH, break_long_words=False))
    if prospect.measurement is not None:
        lines(*textwrap.wrap(f"Cheapest measurement: {prospect.measurement.text}.", WIDTH))


def _list(title: str, texts: Sequence[str]) -> None:
    if texts:
        lines("", f"{title}:")
    for text in texts:
        wrapped = textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ")
        lines(*wrapped)


def _more(number: int, what: str, where: str) -> None:
    if number > 0:
        lines(f"   … and {number} more {what}{'s' if number > 1 else ''}; {where}")
