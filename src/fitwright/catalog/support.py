"""What runs where: backend x device x number format x operator class, one table for all."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import yaml

from fitwright.errors import ContractError
from fitwright.records.sheet import Sheet

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """It does not run there; false where a truth value is asked for."""

    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Kernels of one backend: these formats and operators on these devices."""

    families: frozenset[str]
    architectures: frozenset[str]
    dtypes: frozenset[str]
    operators: frozenset[str]

    def on(self, sheet: Sheet) -> bool:
        """Whether it speaks of this device."""
        return sheet.family in self.families or sheet.architecture in self.architectures


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """What runs models, by the name that sheets and contracts use."""

    name: str
    title: str
    rows: tuple[Row, ...]


def supports(
    sheet: Sheet, *, backend: str, dtype: str, operator_class: str
) -> Literal[True] | Refusal:
    """Whether the backend has kernels and the device a fast path; if not, which is missing.

    Args:
        dtype: of the arithmetic, as in `Sheet.peaks`.
        operator_class: as in `perf.work.OperatorClass`; ``memory`` needs no peak, bytes decide.

    Raises:
        ContractError: there is no such backend.
    """
    found = find_backend(backend)
    rows = [row for row in found.rows if row.on(sheet)]
    if not rows and backend not in sheet.runs:
        return Refusal(reason=f"{found.title} does not run on {sheet.name} ({sheet.family})")
    here = [row for row in rows if operator_class in row.operators]
    if rows and not here:
        return Refusal(reason=f"{found.title} has no {operator_class} kernels on {sheet.family}")
    dtypes = {d for row in here for d in row.dtypes}
    if rows and dtype not in dtypes:
        known = ", ".join(sorted(dtypes))
        return Refusal(
            reason=f"{found.title} has no {dtype} kernels for {operator_class} on "
            f"{sheet.family}, only {known}"
        )
    if operator_class != "memory" and sheet.kind != "fpga" and dtype not in sheet.peaks:
        known = ", ".join(sheet.peaks)
        return Refusal(reason=f"{sheet.name} has no fast path for {dtype}, only {known}")
    return True


def fast_dtypes(sheet: Sheet, *, backend: str, operator_class: str) -> tuple[str, ...]:
    """The number formats in which this runs, in the order of the sheet."""
    return tuple(
        dtype
        for dtype in sheet.peaks
        if supports(sheet, backend=backend, dtype=dtype, operator_class=operator_class)
    )


def backends_of(sheet: Sheet) -> tuple[str, ...]:
    """Names of the backends that run on this device at all."""
    return tuple(b.name for b in load_backends().values() if any(row.on(sheet) for row in b.rows))


def find_backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        ContractError: there is none.
    """
    known = load_backends()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise ContractError(
        f"no backend {name!r} in the catalogue; {hint}",
        code="FW128",
        remedy="Give one of the names.",
    )


@cache
def load_backends() -> Mapping[str, Backend]:
    """Every backend of the table by name."""
    text = Path(__file__).with_name("support.yaml").read_text(encoding="utf-8")
    raw = yaml.load(text, Loader=_Loader)
    groups: Mapping[str, list[str]] = raw["groups"]
    return MappingProxyType(
        {
            name: Backend(
                name=name,
                title=entry["title"],
                rows=tuple(_row(row, groups) for row in entry["rows"]),
            )
            for name, entry in raw["backends"].items()
        }
    )


def _row(raw: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Row:
    def spread(key: str) -> frozenset[str]:
        return frozenset(n for name in raw.get(key, ()) for n in groups.get(name, [name]))

    return Row(
        families=spread("families"),
        architectures=spread("architectures"),
        dtypes=spread("dtypes"),
        operators=spread("operators"),
    )
