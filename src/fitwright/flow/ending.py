"""How long the end of a run takes, judged by what its trials have shown so far."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.bench.final import LATENCY_SHARE
from fitwright.bench.statistics import num_samples_for
from fitwright.records.need import Need
from fitwright.records.trial import Trial

CHILD_S = 0.7  # from the start of a child until it begins to load
WRITING_S = 1.0  # bundle and report
DESIGN_EFFECT = 1.5  # slow queries come in bursts, so it takes more of them than if they did not


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What must be set aside for the end, seconds.

    Attributes:
        around_s: beside measuring: two children are opened and answer every evaluation
            sample in the final run, a third writes the self-test of the bundle.
        measuring_s: what bounds the percentiles that the contract limits; 0 without such.
    """

    around_s: float = 0.0
    measuring_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a final run ended with.

    Attributes:
        best: key of the candidate that was the best so far when it began.
        budget_s: of its measuring.
        artefact, baseline: full trials of what ships and of what it was measured against.
    """

    best: str
    budget_s: float
    artefact: Trial
    baseline: Trial


def ending(best: Trial | None, baseline: Trial | None, *, need: Need) -> Ending:
    """What the end takes with this artefact and this baseline."""
    if best is None or baseline is None:
        return Ending()
    verified = need.num_evaluation * (_query_s(best) + _query_s(baseline))
    opened = _opened_s(best) + _opened_s(baseline) + _opened_s(best)
    return Ending(
        around_s=opened + verified + WRITING_S,
        measuring_s=sum(_bounding_s(t, need) for t in (best, baseline)),
    )


def _bounding_s(trial: Trial, need: Need) -> float:
    """Time until so many queries have come that the largest bounds the percentile."""
    limited = [x.figure for x in need.limits if x.figure.startswith("latency_p")]
    if not limited:
        return 0.0
    rate_per_s = need.traffic.rate_per_s
    each_s = max(_query_s(trial), 1 / rate_per_s if rate_per_s else 0.0)
    return DESIGN_EFFECT * num_samples_for(need.percentile) * each_s / LATENCY_SHARE


def _opened_s(trial: Trial) -> float:
    load = trial.figures.get("load_time")
    return CHILD_S + (load.value or 0.0 if load else 0.0)


def _query_s(trial: Trial) -> float:
    latency = trial.figures.get("latency_p50")
    return latency.value or 0.0 if latency else 0.0
