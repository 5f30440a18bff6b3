"""Step 5 alone: a model on every backend's defaults, or a run's artefact once more."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fitwright.bench.final import final
from fitwright.errors import UsageError
from fitwright.flow.driving import driving
from fitwright.flow.search import Search
from fitwright.flow.steps import walk
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import Tools
from fitwright.records.contract import Contract
from fitwright.records.origin import Origin
from fitwright.records.run import RunFolder
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.tune.proposal import Try


def bench_model(contract: Contract, *, folder: Path, tools: Tools, budget_s: float) -> list[Trial]:
    """The original on every backend's defaults, interleaved in pairs with the first one."""
    found = walk(contract, folder=folder, tools=tools)
    with tempfile.TemporaryDirectory(prefix="fitwright-bench-") as place:
        search = Search(
            found, tools=tools, run=RunFolder(Path(place)), watch=_watch(tools, budget_s)
        )
        with search:
            tools.console.step("5 bench")
            while isinstance(step := search.propose(), Try) and step.round == 1:
                search.bench(step)
            search.close()
            return _in_full(search, search.trials[:], budget_s=budget_s)


def bench_run(run: RunFolder, *, tools: Tools, budget_s: float) -> list[Trial]:
    """What the run ships and its baseline, measured again from the files on disk.

    Raises:
        UsageError: the run ships nothing yet, or another process is at work on it: the two
            would disturb each other's timings.
    """
    with driving(run, console=tools.console):
        return _bench_shipped(run, tools=tools, budget_s=budget_s)


def _bench_shipped(run: RunFolder, *, tools: Tools, budget_s: float) -> list[Trial]:
    origin, contract = run.read(Origin), run.read(Contract)
    verdict = run.read(Verdict)
    keys = {c.key for c in (verdict.candidate, verdict.baseline) if c is not None}
    found = walk(contract, folder=Path(origin.folder), tools=tools)
    with Search(found, tools=tools, run=run, watch=_watch(tools, budget_s)) as search:
        shipped = [t for t in search.path() if t.candidate.key in keys]
        if not shipped:
            raise UsageError(
                f"{run.path} ships nothing yet",
                code="FW105",
                remedy=f"Go on with `fitwright tune {run.path}`.",
            )
        tools.console.step("5 bench")
        return _in_full(search, shipped, budget_s=budget_s)


def _in_full(search: Search, trials: list[Trial], *, budget_s: float) -> list[Trial]:
    """Full figures of each trial, the first one serving as the baseline of all."""
    running = [t for t in trials if t.failure is None]
    found = {t.candidate.key: t for t in trials if t.failure is not None}
    if not running:
        return list(found.values())
    baseline, *others = running
    share_s = budget_s / max(len(others), 1)
    for other in others or [baseline]:
        ours, theirs = final(
            search.setup, search.target_of(other), search.target_of(baseline), budget_s=share_s
        )
        for trial, measured in ((baseline, theirs), (other, ours)):
            found[trial.candidate.key] = trial.model_copy(
                update={
                    "stage": "full",
                    "figures": dict(measured.figures),
                    "comparison": measured.comparison,
                    "failure": measured.failure,
                    "latencies_s": measured.latencies_s,
                }
            )
    return list(found.values())


def _watch(tools: Tools, budget_s: float) -> Stopwatch:
    return Stopwatch(
        started=tools.clock(), budget_s=budget_s, clock=tools.clock, console=tools.console
    )
