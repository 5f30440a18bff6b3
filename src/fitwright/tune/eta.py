"""How long the search will still take, told by what its steps took so far."""

from __future__ import annotations

from collections.abc import Sequence

NUM_RECENT = 12  # trials that tell what the next ones take; later rounds differ from earlier


def eta_s(
    trial_s: Sequence[float],
    pass_s: Sequence[float],
    *,
    num_trials_left: int,
    num_passes_left: int,
    left_s: float,
) -> float | None:
    """Seconds until the search has tried everything it still means to, or its time is spent.

    What is left times the mean of the latest of its kind (the mean, for a sum is wanted);
    never more than the budget leaves. A search that stops when its limits are met may end
    sooner.

    Args:
        trial_s: duration of each finished trial, in order, seconds; those that were passed
            over without measuring (0) do not count.
        pass_s: the same of each adapted variant.
        num_trials_left, num_passes_left: that are still to come, as far as is known.
        left_s: what the budget leaves for the search.

    Returns:
        None while nothing of a kind that is still to come has finished.
    """
    total_s = 0.0
    for times_s, num_left in ((trial_s, num_trials_left), (pass_s, num_passes_left)):
        recent_s = [s for s in times_s if s > 0][-NUM_RECENT:]
        if not num_left:
            continue
        if not recent_s:
            return None
        total_s += num_left * sum(recent_s) / len(recent_s)
    return min(total_s, max(left_s, 0.0))
