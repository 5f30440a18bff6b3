"""`fitwright bench`: step 5 on its own, for a model or for what a run ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fitwright.cli.output import Executor, Json, answer, lines, progress, table
from fitwright.errors import Exit
from fitwright.start import existing_run, open_target

if TYPE_CHECKING:
    from fitwright.records.trial import Trial

Subject = Annotated[
    str, typer.Argument(metavar="MODEL|CONTRACT|RUN", help="A model, a contract, or a run.")
]


def bench(
    subject: Subject,
    time: Annotated[str, typer.Option(help="How long to measure, at most.")] = "1m",
    executor: Executor = "local",
    json: Json = False,
) -> None:
    """Step 5: measure a model on every backend's defaults, or a run's artefact again."""
    from fitwright.flow.measure import bench_model, bench_run
    from fitwright.start import duration_s, local_tools

    seconds = duration_s(time)
    with progress(quiet=json) as console:
        tools = local_tools(console, executor=executor)
        if Path(subject).is_dir():
            trials = bench_run(existing_run(subject), tools=tools, budget_s=seconds)
        else:
            contract, folder = open_target(subject)
            trials = bench_model(contract, folder=folder, tools=tools, budget_s=seconds)
    if json:
        answer({"trials": [t.model_dump(mode="json") for t in trials]})
    else:
        _print(trials)
    if all(t.failure for t in trials):
        raise typer.Exit(Exit.NOT_MET)


def _print(trials: Sequence[Trial]) -> None:
    from fitwright.deliver.summary import BEFORE_AFTER
    from fitwright.deliver.wording import figure_text, figure_title

    for trial in trials:
        rows = [
            (figure_title(n), figure_text(trial.figures[n]), trial.figures[n].label)
            for n in BEFORE_AFTER
            if n in trial.figures
        ]
        table(trial.candidate.describe(), ("figure", "value", "label"), rows)
        if trial.failure:
            lines(f"failed: {trial.failure.cause}: {trial.failure.detail}")
