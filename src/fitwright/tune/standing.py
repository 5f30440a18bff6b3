"""Where the run stands: who is the best so far, and how fast everybody is against the start."""

from __future__ import annotations

from collections.abc import Sequence

from fitwright.records.trial import Trial


def incumbent_of(trials: Sequence[Trial]) -> Trial | None:
    """The best verified candidate so far: the last one accepted, or the best baseline."""
    kept = accepted_path(trials)
    return kept[-1] if kept else None


def accepted_path(trials: Sequence[Trial]) -> list[Trial]:
    """From the strongest baseline to the best so far, in the order they were accepted."""
    return [t for t in trials if t.stage == "short" and t.decision == "accepted"]


def speeds(trials: Sequence[Trial]) -> dict[str, float]:
    """Speed of every measured candidate relative to the first accepted one, by key.

    Each was raced against the incumbent of its time, so ratios are chained through the
    incumbents; absolute times from different minutes are never compared.
    """
    found: dict[str, float] = {}
    for trial in trials:
        if trial.stage != "short" or trial.failure is not None:
            continue
        if trial.comparison is None:
            if not found:
                found[trial.candidate.key] = 1.0
        elif trial.comparison.incumbent in found:
            found[trial.candidate.key] = found[trial.comparison.incumbent] * trial.comparison.ratio
    return found
