"""`fitwright ledger`: the multiplicative model as a calculator."""

from __future__ import annotations

from typing import Annotated

import typer

from fitwright import units
from fitwright.cli.output import Json, answer, table
from fitwright.errors import UsageError


def ledger(
    capacity: Annotated[str, typer.Option(help="Work per second, e.g. 1TFLOPS.")],
    storage: Annotated[str, typer.Option(help="E.g. 200GB.")],
    energy: Annotated[str, typer.Option(help="Power or energy, e.g. 500W or 500J.")],
    k: Annotated[float, typer.Option("--k", help="Hardware acceleration.")] = 1.0,
    m: Annotated[float, typer.Option("--m", help="Heterogeneous computing.")] = 1.0,
    n: Annotated[float, typer.Option("--n", help="Distribution.")] = 1.0,
    c: Annotated[float, typer.Option("--c", help="Compression; divides the work.")] = 1.0,
    storage_factor: Annotated[
        float | None, typer.Option(help="What memory optimisation divides storage by; default c.")
    ] = None,
    energy_factor: Annotated[
        float | None, typer.Option(help="What efficiency divides energy by; default c.")
    ] = None,
    json: Json = False,
) -> None:
    """What k, m, n and c give on paper: capacity, effective speed, storage, energy."""
    from fitwright.perf.ledger import calculate

    unit = "joules" if energy.strip().endswith("J") else "watts"
    try:
        case = calculate(
            k=k,
            m=m,
            n=n,
            c=c,
            capacity_flop_per_s=units.parse(capacity, "flop_per_s"),
            storage_bytes=units.parse(storage, "bytes"),
            energy_w=units.parse(energy, "watts" if unit == "watts" else "joules"),
            storage_factor=storage_factor,
            energy_factor=energy_factor,
        )
    except ValueError as error:
        raise UsageError(
            str(error), code="FW107", remedy="Try `fitwright ledger --help`."
        ) from error
    if json:
        return answer(case.model_dump(mode="json"))
    shown = units.watts if unit == "watts" else units.joules
    table(
        "Ledger",
        ("quantity", "value"),
        [
            ("capacity", units.count(case.capacity_flop_per_s, "FLOPS")),
            ("effective", units.count(case.effective_flop_per_s, "FLOPS")),
            ("storage", _decimal_bytes(case.storage_bytes)),
            ("energy", shown(case.energy_w)),
            ("speed-up", f"{case.speedup:g}x"),
        ],
    )
    return None


def _decimal_bytes(value: float) -> str:
    """Storage is sold in decimal units, and users type them here."""
    return units.count(value, "B")
