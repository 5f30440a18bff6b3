"""From the records of a run to its drawings; None where a run has nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence

from fitwright.deliver.evidence import Evidence
from fitwright.deliver.roofline import Roofline, roofline_of
from fitwright.deliver.svg import Svg
from fitwright.deliver.svg_front import draw_front
from fitwright.deliver.svg_latency import LatencyLine, draw_latencies
from fitwright.deliver.svg_marks import draw_ratio, ratio_range
from fitwright.deliver.svg_memory import draw_memory
from fitwright.deliver.svg_roofline import draw_roofline
from fitwright.records.trial import Trial

TOP_OPERATORS = 12
_FEWEST_LATENCIES = 10
_MARKED_PERCENTS = (50, 99)


def roofline_and_plot(evidence: Evidence) -> tuple[Roofline | None, Svg | None, str]:
    """The roofline, its drawing, and why there is none."""
    if evidence.analysis is None or evidence.selection is None or not evidence.selection.choices:
        return None, None, "The run ended before the machine and the model were both known."
    device = evidence.selection.choices[0].device
    found = roofline_of(evidence.analysis.summary, device, runs(evidence), top=TOP_OPERATORS)
    if isinstance(found, str):
        return None, None, found
    if not found.points:
        return found, None, "No operator of this model has a counted FLOP to place."
    return found, draw_roofline(found), ""


def runs(evidence: Evidence) -> list[tuple[str, str, Trial]]:
    """(name, style class, trial): the baseline and, when it is another one, the artefact."""
    baseline, artefact = evidence.baseline, evidence.artefact
    found = [("baseline", "before", baseline)] if baseline else []
    if artefact and (baseline is None or artefact.number != baseline.number):
        found.append(("artefact", "after", artefact))
    return [(name, kind, trial) for name, kind, trial in found]


def latency_plot(evidence: Evidence) -> Svg | None:
    """Both runs' latencies with their p50 and p99, and the contract's limits on them."""
    lines = [
        LatencyLine(
            name=name,
            kind=kind,
            latencies_s=trial.latencies_s,
            marks={
                p: trial.figures[f"latency_p{p}"]
                for p in _MARKED_PERCENTS
                if f"latency_p{p}" in trial.figures
            },
        )
        for name, kind, trial in runs(evidence)
        if len(trial.latencies_s) >= _FEWEST_LATENCIES
    ]
    return draw_latencies(lines, limits_s=_limits_s(evidence)) if lines else None


def _limits_s(evidence: Evidence) -> dict[int, float]:
    limits = evidence.analysis.need.limits if evidence.analysis else ()
    return {
        int(limit.name.removeprefix("latency_p")): limit.bound
        for limit in limits
        if limit.name.startswith("latency_p")
    }


def front_plot(evidence: Evidence) -> Svg | None:
    """The Pareto front, when the run kept one that can be drawn."""
    if evidence.front is None:
        return None
    artefact, baseline = evidence.artefact, evidence.baseline
    return draw_front(
        evidence.front,
        artefact=artefact.candidate.key if artefact else "",
        baseline=baseline.candidate.key if baseline else "",
    )


def memory_plot(evidence: Evidence) -> Svg | None:
    """The plan's arena, when the model has activations to place."""
    memory = evidence.plan.memory if evidence.plan else None
    return draw_memory(memory) if memory and memory.buffers else None


def trial_marks(trials: Sequence[Trial]) -> list[Svg | None]:
    """Per trial its comparison on one scale that all of them share."""
    comparisons = [t.comparison for t in trials if t.comparison]
    if not comparisons:
        return [None] * len(trials)
    reach = ratio_range(comparisons)
    return [draw_ratio(t.comparison, reach) if t.comparison else None for t in trials]
