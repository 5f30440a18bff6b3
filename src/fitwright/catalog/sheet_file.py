"""A device's file into a sheet; everything wrong with it is told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from fitwright.catalog.clusters import load_links
from fitwright.catalog.reading import (
    Reading,
    check_keys,
    read_fact,
    read_facts,
    read_list,
    read_number,
    read_text,
    texts,
)
from fitwright.catalog.support import load_backends
from fitwright.errors import ContractError
from fitwright.records.sheet import Kind, Rent, Sheet
from fitwright.units import Quantity

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


def read_sheet(raw: object, *, where: str, repeated: Sequence[str] = ()) -> Sheet:
    """The sheet that `raw` (plain mappings, lists and text) describes.

    Args:
        where: the file, for messages.
        repeated: keys that the file gives twice.

    Raises:
        ContractError: with one line for each thing wrong: path, rule, value, remedy.
    """
    if not isinstance(raw, dict):
        raise _refusal(where, ["expected 'key: value' lines; see `fitwright devices new FILE`"])
    reading = Reading(sources=texts(raw.get("sources")))
    for key in repeated:
        reading.blame(key, "stands twice", remedy="keep one")
    check_keys(raw, KEYS, "", reading)
    for name, text in reading.sources.items():
        if not text:
            reading.blame(f"sources.{name}", "is empty", remedy="say what was read")
    values = _identity(raw, reading)
    for key, (name, quantity) in VALUES.items():
        if key in raw:
            values[name] = read_fact(raw[key], key, quantity, reading)
    for key, (known, quantity) in TABLES.items():
        values[key] = read_facts(raw.get(key, {}), key, known, quantity, reading)
    values["rents"] = _rents(raw.get("rents", []), reading)
    values["runs"] = _runs(raw.get("runs", []), reading)
    _check_whole(raw, values, reading)
    if reading.wrong:
        raise _refusal(where, reading.wrong)
    return Sheet.model_construct(**values)


def _refusal(where: str, wrong: Sequence[str]) -> ContractError:
    lines = "".join(f"\n  {line}" for line in wrong)
    return ContractError(
        f"{where} does not describe a device:{lines}", code="FW122", remedy=_REMEDY
    )


def _identity(raw: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """Names and texts; the rules of an id."""
    for key in REQUIRED:
        if not raw.get(key):
            reading.blame(key, "is missing", remedy=f"add '{key}:'")
    values: dict[str, Any] = {k: read_text(raw[k], k, reading) for k in TEXTS if k in raw}
    if values.get("id") and not _ID.fullmatch(values["id"]):
        reading.blame("id", "lower-case words joined by hyphens", values["id"])
    if values.get("kind") and values["kind"] not in get_args(Kind):
        reading.blame("kind", f"one of {', '.join(get_args(Kind))}", values["kind"])
    if values.get("link") and values["link"] not in load_links():
        known = ", ".join(k.id for k in load_links().values() if k.scope == "device")
        reading.blame("link", "no such link", values["link"], remedy=f"known: {known}")
    if "year" in raw:
        year = str(raw["year"])
        if year.isdecimal() and 1970 <= int(year) <= 2100:
            values["year"] = int(year)
        else:
            reading.blame("year", "a year such as 2024", year)
    return values


def _rents(raw: object, reading: Reading) -> tuple[Rent, ...]:
    rents = []
    for i, row in enumerate(read_list(raw, "rents", reading)):
        path = f"rents.{i}"
        if not isinstance(row, dict):
            reading.blame(path, f"expected {{{', '.join(RENT)}}}", row)
            continue
        check_keys(row, RENT, f"{path}.", reading)
        for key in RENT:
            if not row.get(key):
                reading.blame(f"{path}.{key}", "is missing", remedy=f"add '{key}:'")
        provider, date, source = (str(row.get(k, "")) for k in RENT[1:])
        price = read_number(row.get("price", ""), f"{path}.price", "usd_per_second", reading)
        if price is not None:
            rents.append(Rent(usd_per_s=price, provider=provider, date=date, source=source))
    return tuple(rents)


def _runs(raw: object, reading: Reading) -> tuple[str, ...]:
    names = [str(name) for name in read_list(raw, "runs", reading)]
    for name in names:
        if name not in load_backends():
            known = ", ".join(load_backends())
            reading.blame("runs", "no such backend", name, remedy=f"known: {known}")
    return tuple(names)


def _check_whole(raw: Mapping[str, Any], values: Mapping[str, Any], reading: Reading) -> None:
    """What a roofline needs: peaks (or a fabric), and a memory with its bandwidth."""
    if not raw.get("peaks") and not (values.get("kind") == "fpga" and raw.get("fabric")):
        dtypes = ", ".join(DTYPES)
        reading.blame("peaks", "are missing", remedy=f"give at least one of {dtypes}")
    if values.get("memory_type") == "none":
        return
    for key in ("memory", "bandwidth"):
        if key not in raw:
            reading.blame(key, "is missing", remedy="add it, or 'memory_type: none'")
