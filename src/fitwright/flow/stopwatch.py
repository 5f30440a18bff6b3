"""The budget of a run: how much is spent, and how much must be kept for the final run."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.flow.ending import Ending
from fitwright.ports import Clock, Console

FINAL_SHARE, FINAL_MOST_S = 0.25, 90.0
FINAL_LARGEST_SHARE = 0.5  # where the contract's percentile needs that long
LEAST_S = 5.0  # even a budget overrun leaves the final run this long


@dataclass(frozen=True, kw_only=True)
class Stopwatch:
    """Wall-clock time of one run, seconds.

    Attributes:
        started: reading of `clock` at the start of the run.
        budget_s: what the contract allows.
    """

    started: float
    budget_s: float
    clock: Clock
    console: Console

    def spent_s(self) -> float:
        """Since the start."""
        return self.clock() - self.started

    def show(self, eta_s: float | None) -> None:
        """Tell the console how far the budget is spent, and how long the search will take."""
        self.console.budget(self.spent_s(), self.budget_s, eta_s)

    def search_left_s(self, end: Ending) -> float:
        """Left for trying things; negative when the final run must begin."""
        return self.budget_s - self._reserve_s(end) - end.around_s - self.spent_s()

    def final_left_s(self, end: Ending) -> float:
        """Left for the measuring of the last final run."""
        return max(self.budget_s - end.around_s - self.spent_s(), LEAST_S)

    def early_final_left_s(self, end: Ending) -> float:
        """For a final run that may turn out to be early: half of what is left, so that the
        search can go on should a limit be missed."""
        left_s = self.final_left_s(end)
        return min(left_s, max(left_s / 2, self._reserve_s(end)))

    def _reserve_s(self, end: Ending) -> float:
        """Of the budget, for measuring at the end."""
        usual_s = min(FINAL_SHARE * self.budget_s, FINAL_MOST_S)
        return max(usual_s, min(end.measuring_s, FINAL_LARGEST_SHARE * self.budget_s))
