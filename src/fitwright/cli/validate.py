"""`fitwright validate`: predicted against published and measured figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright.cli.output import Json, answer, lines, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitwright.records.validation import Scored, Summed, Validation

SUM_HEADERS = ("rows", "predicted", "median error", "worst error", "in the 80 % band")


def validate(
    cases: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="A table of cases; without it, those published."),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Show every row.")] = False,
    json: Json = False,
) -> None:
    """How far predictions are from published figures: by domain, device and evidence."""
    from fitwright.errors import Exit
    from fitwright.validate.score import by
    from fitwright.validate.score import validate as scored
    from fitwright.validate.table import published, read_cases
    from fitwright.validate.targets import broken

    found = scored(published() if cases is None else read_cases(cases))
    failures = broken(found) if cases is None else ()
    if json:
        answer(found.model_dump(mode="json"))
        raise typer.Exit(Exit.NOT_MET if failures else Exit.MET)
    if rows:
        table("Every row", ROW_HEADERS, [_row(row) for row in found.rows])
    _sums("By device", "device", by(found.rows, "device_id"))
    _sums("By evidence", "rung", by(found.rows, "rung"))
    _sums("By domain", "domain", found.by_domain)
    _unanswered(found)
    lines(*failures)
    raise typer.Exit(Exit.NOT_MET if failures else Exit.MET)


ROW_HEADERS = ("case", "device", "measured", "predicted", "80 % band", "unit", "error", "rung")


def _row(row: Scored) -> tuple[str, ...]:
    if row.predicted is None:
        measured = "–" if row.measured is None else f"{row.measured:.4g}"
        return (row.case, row.device_id, measured, "no data", row.reason, row.unit, "–", "–")
    return (
        row.case,
        row.device_id,
        "–" if row.measured is None else f"{row.measured:.4g}",
        f"{row.predicted:.4g}",
        f"{row.low:.4g} – {row.high:.4g}",
        row.unit,
        _signed(row.error),
        str(row.rung),
    )


def _sums(title: str, what: str, sums: Mapping[str, Summed]) -> None:
    rows = [
        (
            name,
            str(s.num_rows),
            str(s.num_predicted),
            _share(s.median_absolute_error),
            _share(s.worst_absolute_error),
            _share(s.share_within_band),
        )
        for name, s in sorted(sums.items())
    ]
    table(title, (what, *SUM_HEADERS), rows)


def _unanswered(found: Validation) -> None:
    """Rows without a prediction count as missed, so each says why."""
    missed = [row for row in found.rows if row.predicted is None]
    lines(*(f"no data for {row.case} ({row.domain}): {row.reason}" for row in missed))
    if ours := sum(row.internal_error for row in missed):
        lines(f"{ours} of them for a defect of Fitwright's own: please report the row")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1%}"
