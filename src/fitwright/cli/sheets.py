"""How devices of the catalogue look on a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from fitwright import units
from fitwright.cli.output import lines, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitwright.records.sheet import Fact, Rent, Sheet

LIST_HEADERS = ("id", "kind", "memory", "bandwidth", "16bit", "int8", "TDP")
_VALUES = (
    ("units", "num_units", ""),
    ("vector registers", "simd_bits", "bit"),
    ("clock", "clock_hz", "Hz"),
    ("memory", "memory_bytes", "B"),
    ("memory bandwidth", "bandwidth_bytes_per_s", "B/s"),
    ("on-chip memory", "onchip_bytes", "B"),
    ("flash", "flash_bytes", "B"),
    ("TDP", "tdp_w", "W"),
    ("idle power", "idle_w", "W"),
    ("link, one direction", "link_bytes_per_s", "B/s"),
    ("host, one direction", "host_bytes_per_s", "B/s"),
    ("price", "price_usd", "USD"),
)
_UNKNOWN = "–"
WIDTH = 80


def listed(sheets: Sequence[Sheet]) -> None:
    """One line for each device."""
    table(
        f"{len(sheets)} devices",
        LIST_HEADERS,
        [
            (
                sheet.id,
                sheet.kind,
                _shown(sheet.memory_bytes, "B"),
                _shown(sheet.bandwidth_bytes_per_s, "B/s"),
                _prefixed(half_precision(sheet)),
                _prefixed(sheet.peaks.get("int8")),
                _shown(sheet.tdp_w, "W"),
            )
            for sheet in sheets
        ],
    )
    lines(
        "16bit: dense FLOP/s in bfloat16, else float16; int8: dense OP/s;",
        "– is unknown, or has no fast path.",
    )


def half_precision(sheet: Sheet) -> Fact | None:
    """The peak of 16-bit floating point."""
    return sheet.peaks.get("bfloat16") or sheet.peaks.get("float16")


def described(sheet: Sheet, *, clusters: Sequence[str]) -> None:
    """Every value of one device with its confidence and, as a number, its source."""
    year = f", {sheet.year}" if sheet.year else ""
    lines(
        f"{sheet.id}: {sheet.name} ({sheet.kind}, {sheet.vendor}{year})",
        f"architecture {sheet.architecture}, family {sheet.family}",
    )
    facts = _facts(sheet)
    sources = list(dict.fromkeys(fact.source for _, _, fact in facts))
    table(
        "Values",
        ("what", "value", "confidence", "source"),
        [
            (
                what,
                _written(fact.value, unit),
                fact.confidence,
                f"[{sources.index(fact.source) + 1}]",
            )
            for what, unit, fact in facts
        ],
    )
    for number, source in enumerate(sources, start=1):
        _wrapped(f"[{number}]", source)
    lines("Confidence: A a data sheet or result was read, B at second hand, C from memory.")
    if sheet.rents:
        _rents(sheet.rents)
    for label, text in (
        ("memory type", sheet.memory_type),
        ("link", sheet.link),
        ("runs", ", ".join(sheet.runs)),
        ("clusters", ", ".join(clusters)),
        ("note", sheet.note),
    ):
        if text:
            _wrapped(f"{label}:", text)


def compared(sheets: Sequence[Sheet]) -> None:
    """Values side by side, with their ratio to the first device."""
    rows = []
    for what, unit, found in comparison(sheets):
        first = found[0]
        rows.append((what, *(_against(fact, first, unit) for fact in found)))
    table("Compared with the first", ("", *(sheet.id for sheet in sheets)), rows)


def comparison(sheets: Sequence[Sheet]) -> list[tuple[str, str, list[Fact | None]]]:
    """What at least one of the devices states: name, unit and one value for each device."""
    from fitwright.catalog.sheet_file import DTYPES

    rows = [(what, unit, [getattr(s, name) for s in sheets]) for what, name, unit in _VALUES]
    peaks = [(f"peak {d}", _peak_unit(d), [s.peaks.get(d) for s in sheets]) for d in DTYPES]
    return [row for row in [*peaks, *rows] if any(row[2])]


def _facts(sheet: Sheet) -> list[tuple[str, str, Fact]]:
    peaks = [(f"peak {d}", _peak_unit(d), fact) for d, fact in sheet.peaks.items()]
    values = [(what, unit, getattr(sheet, name)) for what, name, unit in _VALUES]
    fabric = [(name, "", fact) for name, fact in sheet.fabric.items()]
    return [*peaks, *[row for row in values if row[2] is not None], *fabric]


def _wrapped(label: str, text: str) -> None:
    lines(*textwrap.wrap(f"{label} {text}", WIDTH, subsequent_indent="    "))


def _rents(rents: Sequence[Rent]) -> None:
    table(
        "To rent",
        ("USD/h", "provider", "read", "source"),
        [
            (f"{rent.usd_per_s * 3600:.2f}", rent.provider, rent.date, rent.source)
            for rent in sorted(rents, key=lambda rent: rent.usd_per_s)
        ],
    )


def _against(fact: Fact | None, first: Fact | None, unit: str) -> str:
    if fact is None:
        return _UNKNOWN
    text = _written(fact.value, unit)
    if first is None or fact is first:
        return text
    return f"{text} ({fact.value / first.value:.2g}x)"


def _peak_unit(dtype: str) -> str:
    return "OP/s" if dtype.startswith("int") else "FLOP/s"


def _prefixed(fact: Fact | None) -> str:
    """``989T``: the unit stands beneath the table."""
    return _UNKNOWN if fact is None else units.count(fact.value).replace(" ", "")


def _shown(fact: Fact | None, unit: str) -> str:
    return _UNKNOWN if fact is None else _written(fact.value, unit)


def _written(value: float, unit: str) -> str:
    """Decimal prefixes, as data sheets print them."""
    if unit in ("B", "B/s", "Hz", "FLOP/s", "OP/s"):
        return units.count(value, unit)
    if unit == "W":
        return units.watts(value)
    return f"{value:,.6g} {unit}".rstrip()
