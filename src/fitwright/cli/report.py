"""`fitwright report` and `fitwright package`: what a finished run gives away."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fitwright.cli.output import Json, RunPath, answer, lines
from fitwright.errors import UsageError
from fitwright.start import existing_run


def report(
    run_path: RunPath,
    to: Annotated[Path | None, typer.Option(help="Another file than RUN/report.html.")] = None,
    json: Json = False,
) -> None:
    """Write the report of a run again and print its tables."""
    from fitwright.cli.fit import print_run
    from fitwright.deliver.report import write_report
    from fitwright.records.verdict import Verdict

    run = existing_run(run_path)
    written = write_report(run, to)
    if json:
        verdict = run.read(Verdict).model_dump(mode="json") if run.has(Verdict) else None
        return answer({"run": str(run.path), "report": str(written), "verdict": verdict})
    if run.has(Verdict):
        print_run(run, report=written)
    else:
        lines(f"report  {written} (the run has no verdict yet)")
    return None


def package(
    run_path: RunPath,
    to: Annotated[Path, typer.Option(help="Folder to copy the bundle to; must not exist.")],
    json: Json = False,
) -> None:
    """Copy the bundle of a run elsewhere, and check it file by file on the way."""
    from fitwright.deliver.package import copy_bundle

    run = existing_run(run_path)
    if not run.bundle.is_dir():
        raise UsageError(
            f"{run.path} has no bundle: no candidate has passed yet",
            code="FW105",
            remedy=f"Go on with `fitwright tune {shlex.quote(run_path)}`.",
        )
    copied = copy_bundle(run.bundle, to)
    if json:
        return answer({"run": str(run.path), "bundle": str(to), "files": copied})
    lines(*(f"{bytes_:>12,}  {name}" for name, bytes_ in copied.items()))
    lines(
        f"checked and copied to {to}",
        f"try it: python {shlex.quote(str(to / 'run.py'))} --self-test",
    )
    return None
