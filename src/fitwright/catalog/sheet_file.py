"""A device's file into a sheet; everything wrong with it is told at once.

Each value is written ``[what is published, confidence, source]``, e.g.
``[312 TFLOP/s, B, listed]``; ``sources`` says what ``listed`` stands for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from fitwright.errors import ContractError
from fitwright.records.sheet import Confidence, Fact, Kind, Rent, Sheet
from fitwright.units import Quantity, example, parse

DTYPES = (
    "float64",
    "float32",
    "tf32",
    "bfloat16",
    "float16",
    "float8",
    "int8",
    "int4",
    "float4",
)
FABRIC = ("lut", "ff", "dsp", "bram36", "uram")
VALUES: Mapping[str, tuple[str, Quantity]] = {
    "num_units": ("num_units", "number"),
    "clock": ("clock_hz", "hertz"),
    "simd_bits": ("simd_bits", "number"),
    "memory": ("memory_bytes", "bytes"),
    "bandwidth": ("bandwidth_bytes_per_s", "bytes_per_s"),
    "onchip": ("onchip_bytes", "bytes"),
    "flash": ("flash_bytes", "bytes"),
    "tdp": ("tdp_w", "watts"),
    "idle": ("idle_w", "watts"),
    "link_bandwidth": ("link_bytes_per_s", "bytes_per_s"),
    "host_bandwidth": ("host_bytes_per_s", "bytes_per_s"),
    "price": ("price_usd", "usd"),
}
"""Key in the file: field of the sheet, and the kind of quantity written there."""
TABLES: Mapping[str, tuple[tuple[str, ...], Quantity]] = {
    "peaks": (DTYPES, "flop_per_s"),
    "fabric": (FABRIC, "number"),
}
TEXTS = ("id", "name", "kind", "vendor", "architecture", "family", "memory_type", "link", "note")
REQUIRED = ("id", "name", "kind", "vendor", "architecture", "family")
RENT = ("price", "provider", "date", "source")
KEYS = (*TEXTS, "year", "sources", *VALUES, *TABLES, "rents", "runs")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REMEDY = "Correct the file and check it with `fitwright devices check FILE`."


@dataclass(kw_only=True, slots=True)
class _Reading:
    """What is wrong so far, and the names that values cite."""

    sources: Mapping[str, str]
    wrong: list[str] = field(default_factory=list)

    def blame(self, path: str, rule: str, value: object = None, *, remedy: str = "") -> None:
        got = f", got {value!r}" if value is not None else ""
        self.wrong.append(f"{path}: {rule}{got}{'; ' + remedy if remedy else ''}")


def read_sheet(raw: object, *, where: str) -> Sheet:
    """The sheet that `raw` (plain mappings, lists and text) describes.

    Args:
        where: the file, for messages.

    Raises:
        ContractError: with one line for each thing wrong: path, rule, value, remedy.
    """
    if not isinstance(raw, dict):
        raise _refusal(where, ["expected 'key: value' lines; see `fitwright devices new FILE`"])
    reading = _Reading(sources=_texts(raw.get("sources")))
    _check_keys(raw, KEYS, "", reading)
    values = _identity(raw, reading)
    for key, (name, quantity) in VALUES.items():
        if key in raw:
            values[name] = _fact(raw[key], key, quantity, reading)
    for key, (known, quantity) in TABLES.items():
        values[key] = _facts(raw.get(key, {}), key, known, quantity, reading)
    values["rents"] = _rents(raw.get("rents", []), reading)
    values["runs"] = tuple(_list(raw.get("runs", []), "runs", reading))
    _check_whole(raw, values, reading)
    if reading.wrong:
        raise _refusal(where, reading.wrong)
    return Sheet.model_construct(**values)


def _refusal(where: str, wrong: Sequence[str]) -> ContractError:
    lines = "".join(f"\n  {line}" for line in wrong)
    return ContractError(
        f"{where} does not describe a device:{lines}", code="FW122", remedy=_REMEDY
    )


def _check_keys(
    raw: Mapping[str, object], known: Iterable[str], path: str, reading: _Reading
) -> None:
    names = tuple(known)
    for key in raw:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
            reading.blame(f"{path}{key}", "unknown key", remedy=hint)


def _identity(raw: Mapping[str, Any], reading: _Reading) -> dict[str, Any]:
    """Names and texts; the rules of an id."""
    for key in REQUIRED:
        if not raw.get(key):
            reading.blame(key, "is missing", remedy=f"add '{key}:'")
    values: dict[str, Any] = {k: _text(raw[k], k, reading) for k in TEXTS if k in raw}
    if values.get("id") and not _ID.fullmatch(values["id"]):
        reading.blame("id", "lower-case words joined by hyphens", values["id"])
    if values.get("kind") and values["kind"] not in get_args(Kind):
        reading.blame("kind", f"one of {', '.join(get_args(Kind))}", values["kind"])
    if "year" in raw:
        year = str(raw["year"])
        if year.isdecimal() and 1970 <= int(year) <= 2100:
            values["year"] = int(year)
        else:
            reading.blame("year", "a year such as 2024", year)
    return values


def _text(value: object, path: str, reading: _Reading) -> str:
    if isinstance(value, str):
        return value.strip()
    reading.blame(path, "expected text", value)
    return ""


def _texts(raw: object) -> dict[str, str]:
    return {k: v for k, v in raw.items() if isinstance(v, str)} if isinstance(raw, dict) else {}


def _list(raw: object, path: str, reading: _Reading) -> list[Any]:
    if isinstance(raw, list):
        return raw
    reading.blame(path, "expected a list", raw)
    return []


def _fact(raw: object, path: str, quantity: Quantity, reading: _Reading) -> Fact | None:
    """``[312 TFLOP/s, B, listed]`` in base units with its source in full."""
    form = f"write [{example(quantity)}, C, SOURCE] with SOURCE a name beneath 'sources'"
    if not isinstance(raw, list) or len(raw) != 3:
        reading.blame(path, "expected value, confidence and source", raw, remedy=form)
        return None
    value = _number(raw[0], path, quantity, reading)
    if raw[1] not in get_args(Confidence):
        reading.blame(path, "confidence is A, B or C", raw[1])
    source = reading.sources.get(raw[2] if isinstance(raw[2], str) else "", "")
    if not source:
        reading.blame(path, "no such name beneath 'sources'", raw[2], remedy=f"add '{raw[2]}:'")
    if value is None:
        return None
    return Fact.model_construct(value=value, source=source, confidence=raw[1])


def _number(raw: object, path: str, quantity: Quantity, reading: _Reading) -> float | None:
    try:
        value = parse(raw, quantity)
    except ValueError as error:
        reading.blame(path, str(error))
        return None
    if value <= 0:
        reading.blame(path, "must be above 0", raw, remedy="leave out what is unknown")
        return None
    return value


def _facts(
    raw: object, path: str, known: Sequence[str], quantity: Quantity, reading: _Reading
) -> dict[str, Fact]:
    if not isinstance(raw, dict):
        reading.blame(path, "expected 'name: [value, confidence, source]' lines", raw)
        return {}
    _check_keys(raw, known, f"{path}.", reading)
    read = {k: _fact(v, f"{path}.{k}", quantity, reading) for k, v in raw.items()}
    return {k: v for k, v in read.items() if v is not None}


def _rents(raw: object, reading: _Reading) -> tuple[Rent, ...]:
    rents = []
    for i, row in enumerate(_list(raw, "rents", reading)):
        path = f"rents.{i}"
        if not isinstance(row, dict):
            reading.blame(path, f"expected {{{', '.join(RENT)}}}", row)
            continue
        _check_keys(row, RENT, f"{path}.", reading)
        for key in RENT:
            if not row.get(key):
                reading.blame(f"{path}.{key}", "is missing", remedy=f"add '{key}:'")
        provider, date, source = (str(row.get(k, "")) for k in RENT[1:])
        price = _number(row.get("price", ""), f"{path}.price", "usd_per_second", reading)
        if price is not None:
            rents.append(Rent(usd_per_s=price, provider=provider, date=date, source=source))
    return tuple(rents)


def _check_whole(raw: Mapping[str, Any], values: Mapping[str, Any], reading: _Reading) -> None:
    """What a roofline needs: peaks (or a fabric), and a memory with its bandwidth."""
    if not raw.get("peaks") and not (values.get("kind") == "fpga" and raw.get("fabric")):
        dtypes = ", ".join(DTYPES)
        reading.blame("peaks", "are missing", remedy=f"give at least one of {dtypes}")
    if values.get("memory_type") == "none":
        return
    for key in ("memory", "bandwidth"):
        if key not in raw:
            reading.blame(key, "is missing", remedy="add it, or 'memory_type: none'")
