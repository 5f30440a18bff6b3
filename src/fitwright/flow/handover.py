"""The exit of the loop: final run, verdict, ledger, bundle and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fitwright.bench.final import final
from fitwright.bench.trial import Measurement
from fitwright.deliver.bundle import write_bundle
from fitwright.deliver.report import write_report
from fitwright.errors import TrialFailed
from fitwright.flow.ending import Judged
from fitwright.flow.search import Search
from fitwright.flow.stopwatch import LEAST_S
from fitwright.flow.telling import busy
from fitwright.perf.ledger import book
from fitwright.ports import Array
from fitwright.records.front import Front
from fitwright.records.trial import Trial
from fitwright.records.verdict import Verdict
from fitwright.tune.conclude import Stop, conclude
from fitwright.tune.decide import Decision, decide
from fitwright.tune.front import front
from fitwright.tune.gains import baseline_of, ledger_entries, proven_gain
from fitwright.tune.judge import breaches
from fitwright.tune.proposal import FAR_AHEAD

MOST_FINALS = 2  # measured to the end; when both fall back, the baseline ships
FALLBACK_SHARE = 1 / 3  # of the first final run's time, for the one after a fallback
SELF_TEST_QUERIES = 4
SELF_TEST_TOLERANCE = 1e-2  # relative L2; threads and machines round differently, bf16 most


def so_far(search: Search) -> None:
    """Verdict and bundle of the best candidate at this moment, on disk."""
    best, baseline = search.best(), baseline_of(search.trials)
    assert best is not None and baseline is not None, "called after an accepted trial"
    verdict = conclude(
        search.walk.analyzed.analysis.need,
        artefact=_without_queueing(search, best),
        baseline=baseline,
        trials=search.trials,
        stop="interrupted",
        seconds=search.watch.spent_s(),
        notes=("the run is not finished: limits that need the final run are undecided",),
        front=_written_front(search),
    )
    search.run.write(verdict)
    try:
        bundle(search, best)
    except TrialFailed as error:  # the bundle before it stays; the run goes on
        search.tools.console.say(f"no bundle of {best.candidate.describe()}: {error.rule}")


def _written_front(search: Search) -> Front | None:
    """The front of the run so far, on disk as well."""
    if (found := front(search.trials, search.walk.analyzed.analysis.need)) is not None:
        search.run.write(found)
    return found


def _without_queueing(search: Search, trial: Trial) -> Trial:
    """Short trials time the service alone; under server traffic that is not the latency."""
    if search.walk.contract.traffic.scenario != "server":
        return trial
    kept = {n: f for n, f in trial.figures.items() if not n.startswith("latency")}
    return trial.model_copy(update={"figures": kept})


def finish(search: Search, *, stop: Stop) -> Verdict:
    """Measure artefact and baseline in full, judge, and write everything the user takes home.

    Should the artefact not hold what the short trial promised, the candidate accepted before
    it takes its place, down to the baseline: never slower, never worse.
    """
    if not search.has_best():
        raise _nothing_runs(search)
    artefact, baseline = _judged(search, stop=stop)
    need, warnings = search.walk.analyzed.analysis.need, busy(search.trials)
    for warning in warnings:
        search.tools.console.say(warning)
    verdict = conclude(
        need,
        artefact=artefact,
        baseline=baseline,
        trials=search.trials,
        stop=stop,
        seconds=search.watch.spent_s(),
        notes=(*need.notes, *warnings),
        front=_written_front(search),
    )
    search.run.write(verdict)
    entries = ledger_entries(
        search.trials, search.adapted.variants, baseline=baseline, artefact=artefact
    )
    search.run.write(book(entries, total=verdict.speedup))
    write_report(search.run)
    bundle(search, artefact)
    return verdict


def _judged(search: Search, *, stop: Stop) -> tuple[Trial, Trial]:
    """Artefact and baseline in full; those of an earlier final run when it was as long and
    nothing better came since."""
    watch, best = search.watch, search.best_key()
    left_s = watch.early_final_left_s if stop == "met" else watch.final_left_s
    budget_s = left_s(search.ending())
    before = search.judged
    if before and before.best == best and before.budget_s >= budget_s:
        return before.artefact, before.baseline
    search.close()
    search.say_step("6 tune     the final run: artefact and baseline, interleaved")
    artefact, baseline = final_pair(search, budget_s=budget_s)
    search.judged = Judged(best=best, budget_s=budget_s, artefact=artefact, baseline=baseline)
    return artefact, baseline


def _nothing_runs(search: Search) -> TrialFailed:
    causes = "; ".join(f"{t.candidate.describe()}: {t.reason}" for t in search.trials[:3])
    return TrialFailed(
        f"no candidate runs and agrees with the original: {causes}",
        code="FW410",
        remedy=f"See {search.run.path / 'trials'}; `fitwright doctor` shows the backends.",
    )


def final_pair(search: Search, *, budget_s: float) -> tuple[Trial, Trial]:
    """Full trials of what ships and of the baseline, both recorded."""
    baseline = baseline_of(search.trials)
    assert baseline is not None, "the loop ends with at least one candidate that runs"
    challengers = [t for t in reversed(search.path()) if t.round > 1] or _promising(search)
    num_measured = 0
    for challenger in (*challengers, baseline):
        ours, theirs = _measured(search, challenger, baseline, budget_s=budget_s)
        proven = proven_gain(search.path(), challenger)
        is_baseline = challenger is baseline
        decision = _holds(search, ours, theirs, proven=proven, is_baseline=is_baseline)
        against = _full(search, baseline, theirs, "the strongest plain baseline", "baseline")
        kept = _full(search, challenger, ours, decision.reason, _word(decision, ours))
        if decision.accepted:
            return kept, against
        search.tools.console.say(
            f"falls back: {challenger.candidate.describe()}: {decision.reason}"
        )
        if ours.comparison is None:
            continue  # it ended early, and the baseline's figures with it
        num_measured += 1
        if num_measured == MOST_FINALS or challenger in challengers[-1:]:
            break
        budget_s = max(budget_s * FALLBACK_SHARE, LEAST_S)
    return against, against


def _promising(search: Search) -> list[Trial]:
    """Where nothing better was proven: what looked far faster and was left open by the noise.
    The final run is the longest race there is."""
    standing, best = search.standing, search.best()
    floor = FAR_AHEAD * (standing.speeds.get(best.candidate.key, 1.0) if best else 1.0)
    ahead = [key for key in standing.open if standing.speeds.get(key, 0.0) >= floor]
    found = [standing.open[key] for key in sorted(ahead, key=lambda k: -standing.speeds[k])]
    need = search.walk.analyzed.analysis.need
    kept = breaches(need, best.figures).keys() if best else set()
    return [t for t in found if not breaches(need, t.figures).keys() - kept][:1]


def _measured(
    search: Search, challenger: Trial, baseline: Trial, *, budget_s: float
) -> tuple[Measurement, Measurement]:
    """Both in one run; the challenger with itself when the baseline fails beside it."""
    target = search.target_of(challenger)
    ours, theirs = final(search.setup, target, search.target_of(baseline), budget_s=budget_s)
    if theirs.failure is not None and ours.failure is None and challenger is not baseline:
        alone, _ = final(search.setup, target, target, budget_s=budget_s)
        return replace(alone, comparison=None), theirs
    return ours, theirs


def _holds(
    search: Search,
    ours: Measurement,
    theirs: Measurement,
    *,
    proven: float,
    is_baseline: bool,
) -> Decision:
    if ours.failure is not None:
        return Decision(False, f"{ours.failure.cause}: {ours.failure.detail}")
    if is_baseline:
        return Decision(True, "nothing better was proven")
    if theirs.failure is not None or ours.comparison is None:
        return Decision(True, "the baseline failed in the final run, this did not")
    return decide(
        search.walk.analyzed.analysis.need,
        candidate=ours.figures,
        incumbent=theirs.figures,
        comparison=ours.comparison,
        proven=proven,
    )


def _word(decision: Decision, measured: Measurement) -> str:
    if measured.failure is not None:
        return "failed"
    return "accepted" if decision.accepted else "rejected"


def _full(search: Search, short: Trial, measured: Measurement, reason: str, word: str) -> Trial:
    trial = short.model_copy(
        update={
            "number": len(search.trials) + 1,
            "stage": "full",
            "decision": "failed" if measured.failure else word,
            "reason": reason,
            "figures": dict(measured.figures),
            "comparison": measured.comparison,
            "failure": measured.failure,
            "facts": dict(measured.facts),
            "latencies_s": tuple(measured.latencies_s),
            "seconds": measured.seconds,
        }
    )
    search.record(trial)
    return trial


def bundle(search: Search, trial: Trial) -> None:
    """The bundle of one candidate, with a self-test taken from the very file that ships."""
    target = search.target_of(trial)
    variant = search.adapted.variant(trial.candidate.variant_id)
    samples = search.walk.analyzed.split.evaluation
    inputs = {name: array[:SELF_TEST_QUERIES] for name, array in samples.inputs.items()}
    worker = search.tools.executor.open(
        target.runtime, target.model, trial.candidate.settings, limits=search.setup.limits
    )
    try:
        worker.feed(inputs)
        expected: Mapping[str, Array] = worker.outputs()
    finally:
        worker.close()
    write_bundle(
        search.run,
        candidate=trial.candidate,
        variant=variant,
        model_folder=search.run.path,
        inputs=inputs,
        expected=expected,
        tolerance=SELF_TEST_TOLERANCE,
    )
