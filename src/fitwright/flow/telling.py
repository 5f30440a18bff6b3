"""What became of a proposal: as a trial for the record, and in one line for people."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from fitwright import units
from fitwright.bench.setup import Measurement
from fitwright.flow.races import Raced
from fitwright.records.need import Need
from fitwright.records.trial import Failure, Trial
from fitwright.tune.decide import Decision, decide
from fitwright.tune.proposal import Try

BUSY = 0.1  # of the processors' time; less hardly moves a median


def decided(
    need: Need, raced: Raced, *, gained: float = 0.0, before: float | None = None
) -> Decision:
    """Whether the candidate takes the incumbent's place; the last two as in `tune.decide`."""
    measured = raced.measured
    if measured.failure is not None:
        return Decision(False, _why_it_failed(measured.failure))
    if raced.incumbent is None or measured.comparison is None:
        return Decision(True, "the first candidate that runs and agrees with the original")
    return decide(
        need,
        candidate=measured.figures,
        incumbent=raced.incumbent,
        comparison=measured.comparison,
        gained=gained,
        before=before,
    )


def eliminated(step: Try, measured: Measurement, *, number: int) -> Trial:
    """A trial that left its cohort before it was raced on its own."""
    comparison = measured.comparison
    is_open = comparison is None or comparison.outcome != "slower"
    decision = Decision(False, _why_it_left(measured))
    trial = trial_of(step, measured, decision, number=number)
    return trial.model_copy(update={"eliminated": measured.failure is None and is_open})


def _why_it_left(measured: Measurement) -> str:
    c = measured.comparison
    if measured.failure is not None:
        return _why_it_failed(measured.failure)
    if c is None:
        return "eliminated before it could be compared"
    seen = f"{c.ratio:.3g}x (95 % interval {c.low:.3g} to {c.high:.3g}, {c.num_rounds} rounds)"
    if c.outcome == "slower":
        return f"slower: {seen}"
    return f"eliminated: another of its cohort was ahead: {seen}"


def _why_it_failed(failure: Failure) -> str:
    why = f"{failure.cause}: {failure.detail}"
    if (glance := failure.glance) is None:
        return why
    seen = f"{glance.ratio:.3g}x as fast as the best so far ({glance.num_rounds} rounds)"
    return f"{why}; it ran {seen}"


def trial_of(step: Try, measured: Measurement, decision: Decision, *, number: int) -> Trial:
    """A finished trial."""
    accepted = "accepted" if decision.accepted else "rejected"
    return Trial(
        number=number,
        round=step.round,
        candidate=step.candidate,
        decision="failed" if measured.failure else accepted,
        reason=decision.reason,
        figures=dict(measured.figures),
        comparison=measured.comparison,
        failure=measured.failure,
        facts=dict(measured.facts),
        latencies_s=tuple(measured.latencies_s),
        seconds=measured.seconds,
    )


def unmeasured(step: Try, why: str, *, number: int) -> Trial:
    """A trial that was left out, with the reason."""
    return Trial(
        number=number, round=step.round, candidate=step.candidate, decision="rejected", reason=why
    )


def busy(trials: Iterable[Trial]) -> tuple[str, ...]:
    """A warning where other programs took processor time while candidates were compared: in
    the final run, or in half of the races."""
    shares: dict[str, list[float]] = {"short": [], "full": []}
    for trial in trials:
        noise = trial.comparison.noise if trial.comparison else None
        if noise is not None and noise.others_share is not None:
            shares[trial.stage].append(noise.others_share)
    share = max((median(s) for s in (shares["short"], shares["full"][-1:]) if s), default=0.0)
    if share < BUSY:
        return ()
    return (
        f"other programs took {100 * share:.0f} % of the processors' time while candidates were "
        "compared: these are figures of a busy machine, and what wins here may lose on a quiet one",
    )


def line(trial: Trial) -> str:
    """One line of progress."""
    latency = trial.figures.get("latency_p50")
    shown = f" {units.seconds(latency.value)}" if latency and latency.value else ""
    name = trial.candidate.describe()
    if trial.silent_precision:
        name += f", computing in {trial.silent_precision}"
    return f"{trial.decision:8s}{shown:>9s}  {name}: {trial.reason}"
