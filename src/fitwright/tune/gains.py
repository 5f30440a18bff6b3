"""What each accepted step gave: the entries of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fitwright.records.figure import Figure
from fitwright.records.ledger import LedgerEntry, Technique
from fitwright.records.recipe import REWRITING, Bf16, Buckets, FixShapes, Trim, Variant
from fitwright.records.trial import Comparison, Trial
from fitwright.tune.standing import accepted_path

# the same weights and results, executed better
_SAME_WORK = (FixShapes, Bf16, Buckets, Trim, *REWRITING)


def baseline_of(trials: Sequence[Trial]) -> Trial | None:
    """The strongest plain start: the original model on the better backend's defaults."""
    plain = [t for t in accepted_path(trials) if t.round == 1]
    return plain[-1] if plain else None


def ledger_entries(
    trials: Sequence[Trial],
    variants: Sequence[Variant],
    *,
    baseline: Trial,
    artefact: Trial,
) -> tuple[LedgerEntry, ...]:
    """One entry per accepted step up to the artefact, then storage and energy of the whole.

    Args:
        trials: all trials of the run.
        variants: to tell which recipes a step added.
        baseline, artefact: the two measured in the final interleaved run.
    """
    chains = {v.id: v.recipes for v in variants}
    entries = []
    path = _from_to(accepted_path(trials), baseline, artefact)
    for previous, trial in pairwise(path):
        if trial.comparison is None:
            continue  # the first of all, raced against nothing
        before = chains.get(previous.candidate.variant_id, ())
        added = [r for r in chains.get(trial.candidate.variant_id, ()) if r not in before]
        compressed = any(not isinstance(r, _SAME_WORK) for r in added)
        technique: Technique = "compression" if compressed else "hardware_acceleration"
        entries.append(_speed(trial, trial.comparison, technique))
    if artefact.candidate.key == baseline.candidate.key:
        return tuple(entries)  # one file measured twice: the difference is noise, no gain
    return (*entries, *_storage_and_energy(baseline, artefact))


def proven_gain(path: Sequence[Trial], trial: Trial) -> float:
    """How many times as fast as the strongest baseline a candidate was shown to be, at least: the
    lower ends of what each accepted step gained, multiplied; 0 for one that is not on the path.

    Args:
        path: of `accepted_path`.
    """
    gain = 1.0
    for step in (t for t in path if t.round > 1):
        gain *= step.comparison.low if step.comparison is not None else 0.0
        if step.candidate.key == trial.candidate.key:
            return gain
    return 0.0


def speedup(comparison: Comparison) -> Figure:
    """Time of the incumbent over time of the candidate as a figure."""
    return Figure.measured(
        comparison.ratio,
        low=comparison.low,
        high=comparison.high,
        source="paired interleaved rounds in one run",
        num_samples=comparison.num_rounds,
    )


def _from_to(path: Sequence[Trial], start: Trial, end: Trial) -> list[Trial]:
    """The part of the path between two candidates, both included.

    What only the final run proved follows the start at once.
    """
    keys = [t.candidate.key for t in path]
    first = keys.index(start.candidate.key) if start.candidate.key in keys else 0
    if end.candidate.key not in keys:
        return [path[first], end]
    last = keys.index(end.candidate.key)
    return list(path[first : last + 1])


def _speed(trial: Trial, comparison: Comparison, technique: Technique) -> LedgerEntry:
    return LedgerEntry(
        technique=technique,
        quantity="speed",
        step=trial.candidate.describe(),
        factor=speedup(comparison),
        trial=trial.number,
    )


def _storage_and_energy(baseline: Trial, artefact: Trial) -> list[LedgerEntry]:
    entries = []
    if size := _ratio(baseline, artefact, "size"):
        entries.append(
            LedgerEntry(
                technique="memory_optimisation",
                quantity="storage",
                step="artefact size against the original file",
                factor=size,
                trial=artefact.number,
            )
        )
    if energy := _ratio(baseline, artefact, "energy"):
        entries.append(
            LedgerEntry(
                technique="energy_efficiency",
                quantity="energy",
                step="energy per inference against the baseline",
                factor=energy,
                trial=artefact.number,
            )
        )
    return entries


def _ratio(baseline: Trial, artefact: Trial, name: str) -> Figure | None:
    """Baseline over artefact, the interval from the worst ends; the weaker label wins."""
    a, b = baseline.figures.get(name), artefact.figures.get(name)
    if a is None or b is None or not a.value or not b.value:
        return None
    low = (a.low or a.value) / (b.high or b.value)
    high = (a.high or a.value) / (b.low or b.value)
    label = "estimated" if "estimated" in (a.label, b.label) else "measured"
    return Figure(
        value=a.value / b.value, low=low, high=high, label=label, source=f"{name}, both full trials"
    )
