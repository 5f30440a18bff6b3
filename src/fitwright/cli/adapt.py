"""`fitwright adapt`: step 4 on its own, every variant that can be made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fitwright import units
from fitwright.cli.output import Json, Target, answer, lines, progress, table
from fitwright.errors import UsageError
from fitwright.start import new_run, open_target


def adapt(
    target: Target,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Only chains ending in this recipe, e.g. int8_static/nncf; repeatable."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    json: Json = False,
) -> None:
    """Step 4: adapt the model by each recipe, unmeasured; `fit` measures and judges them."""
    from fitwright.flow import adapt_only
    from fitwright.start import local_tools

    contract, folder = open_target(target)
    run, origin = new_run(runs, target, folder=folder)
    with progress(quiet=json) as console:
        adapted = adapt_only(
            contract,
            origin=origin,
            tools=local_tools(console),
            run=run,
            wanted=_filter(recipe),
        )
    if json:
        return answer({"run": str(run.path), **adapted.model_dump(mode="json")})
    rows = [
        (v.id, v.title, units.bytes_(v.size_bytes), v.format, ", ".join(v.backends))
        for v in adapted.variants
    ]
    table("Variants", ("id", "recipes", "size", "format", "backends"), rows)
    lines(*(f"skipped {s.reason}" for s in adapted.skipped))
    lines(*(f"file    {run.path / v.file}" for v in adapted.variants if v.recipes))
    return None


def _filter(names: list[str] | None) -> frozenset[str] | None:
    """Titles of the recipes asked for, checked against what exists."""
    if not names:
        return None
    from fitwright.adapt.propose import ROWS
    from fitwright.records.recipe import title

    known = {"fix_shapes", *(title(recipe) for row in ROWS for recipe in row.recipes)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise UsageError(
            f"unknown recipe {unknown[0]!r}; known: {', '.join(sorted(known))}",
            code="FW151",
            remedy="Give one of the known names with --recipe.",
        )
    return frozenset(names)
