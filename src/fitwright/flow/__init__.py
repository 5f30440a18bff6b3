"""The closed loop on one page: the only place that knows the order of the six steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fitwright.deliver.environment import describe_environment
from fitwright.errors import UsageError
from fitwright.flow.driving import driving, refuse_trials_of_elsewhere
from fitwright.flow.handover import finish, so_far
from fitwright.flow.remembering import remembered, with_hints
from fitwright.flow.search import Search
from fitwright.flow.steps import Walk, walk
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import Tools
from fitwright.records.contract import Contract
from fitwright.records.environment import Environment
from fitwright.records.need import Analysis
from fitwright.records.origin import Origin
from fitwright.records.recipe import Adapted, title
from fitwright.records.run import RunFolder
from fitwright.records.verdict import Verdict
from fitwright.tune.conclude import Stop
from fitwright.tune.proposal import BASELINE, Try


def fit(
    contract: Contract, *, origin: Origin, tools: Tools, run: RunFolder, command: str
) -> Verdict:
    """Walk the six steps until the contract is met or nothing is left to try.

    Args:
        contract: what must hold.
        origin: where the contract's relative paths start.
        tools: backends, passes, executor, meter, console.
        run: a new folder, or that of an earlier run of this contract, which then goes on
            where it stopped.
        command: what the user typed; kept so that the run can be repeated.

    Returns:
        The verdict; figures, artefact and report are in the run's folder.

    Raises:
        FitwrightError: the contract, the data or the model cannot be used, or the disk is
            full. Nothing is written before the first three steps succeed. Or another
            process is at work on the run; then nothing of it is changed.
    """
    watch = _watch(contract, tools)
    with driving(run, console=tools.console):
        found = with_hints(walk(contract, folder=Path(origin.folder), tools=tools), tools=tools)
        _refuse_another_model(found, run)
        _write_start(found, run, origin=origin, command=command)
        return _searched(found, tools=tools, run=run, watch=watch)


def _searched(found: Walk, *, tools: Tools, run: RunFolder, watch: Stopwatch) -> Verdict:
    """The loop, and the final run that ends it or sends it on."""
    refuted: set[str] = set()
    with Search(found, tools=tools, run=run, watch=watch) as search:
        refuse_trials_of_elsewhere(search.trials, search.adapted, folder=run.path)
        while True:
            stop = loop(search, refuted=refuted)
            verdict = finish(search, stop=stop)
            remembered(search)
            if stop != "met" or verdict.status == "met":
                return verdict
            refuted.add(search.best_key())


def adapt_only(
    contract: Contract,
    *,
    origin: Origin,
    tools: Tools,
    run: RunFolder,
    wanted: frozenset[str] | None,
) -> Adapted:
    """Steps 1 to 4 without measuring: every variant that can be made, or only some.

    Args:
        wanted: titles of recipes; only chains that end in one of them are made.
    """
    watch = _watch(contract, tools)
    with ExitStack() as stack:
        stack.enter_context(driving(run, console=tools.console))
        found = walk(contract, folder=Path(origin.folder), tools=tools)
        _write_start(found, run, origin=origin, command=f"fitwright adapt {origin.target}")
        search = stack.enter_context(Search(found, tools=tools, run=run, watch=watch))
        search.say_step("4 adapt")
        for chain in found.agenda.chains:
            if wanted is None or title(chain[-1]) in wanted:
                search.make(chain)
        return search.adapted


def loop(
    search: Search, *, refuted: set[str], on_accepted: Callable[[Search], None] = so_far
) -> Stop:
    """Propose, adapt, bench, decide; the best so far is on disk after every trial.

    Args:
        refuted: keys of candidates that looked good enough but failed the final run.
        on_accepted: called whenever there is a new best; puts it on disk.
    """
    search.say_step("4 adapt · 5 bench · 6 tune")
    while (step := search.propose()) is not None:
        past_baselines = not isinstance(step, Try) or step.round != BASELINE
        if past_baselines and search.left_s() <= 0:
            return "out_of_time"
        if past_baselines and _good_enough(search, refuted):
            return "met"
        trials = search.take(step)
        if any(trial.decision == "accepted" for trial in trials):
            on_accepted(search)
    return "out_of_time" if search.left_out else "exhausted"


def _watch(contract: Contract, tools: Tools) -> Stopwatch:
    return Stopwatch(
        started=tools.clock(),
        budget_s=contract.budget.time_s,
        clock=tools.clock,
        console=tools.console,
    )


def _good_enough(search: Search, refuted: set[str]) -> bool:
    """Whether the contract may already be met, so that the final run should find out."""
    wanted = search.walk.contract.budget.stop == "met" and search.walk.has_limits
    return wanted and search.best_key() not in refuted and not search.breaches()


def _refuse_another_model(found: Walk, run: RunFolder) -> None:
    """A resumed run must still be about the same bytes, or its figures would lie."""
    if not run.has(Analysis):
        return
    before, now = run.read(Analysis), found.analyzed.analysis
    for what, then_sha256, now_sha256 in (
        ("model", before.summary.sha256, now.summary.sha256),
        ("data", before.need.data_sha256, now.need.data_sha256),
    ):
        if then_sha256 != now_sha256:
            raise UsageError(
                f"the {what} has changed since {run.path} began (sha256 {then_sha256[:12]} then, "
                f"{now_sha256[:12]} now), so its trials no longer tell anything",
                code="FW104",
                remedy="Start a new run with `fitwright fit`.",
            )


def _write_start(found: Walk, run: RunFolder, *, origin: Origin, command: str) -> None:
    """The records of the first three steps, and the command that began the run."""
    if run.has(Environment):
        command = run.read(Environment).command
    run.write(origin)
    run.write(found.contract)
    run.write(describe_environment(command))
    run.write(found.analyzed.analysis)
    run.write(found.selection)
    run.write(found.plan)
