"""The budget of a run: how much is spent, and how much must be kept for the final run."""

from __future__ import annotations

from dataclasses import dataclass

from fitwright.ports import Clock, Console

FINAL_SHARE, FINAL_MOST_S = 0.25, 90.0
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
        """Since the start; shows it on the console on the way."""
        spent = self.clock() - self.started
        self.console.budget(spent, self.budget_s)
        return spent

    def search_left_s(self) -> float:
        """Left for trying things; negative when the final run must begin."""
        reserve = min(FINAL_SHARE * self.budget_s, FINAL_MOST_S)
        return self.budget_s - reserve - self.spent_s()

    def final_left_s(self) -> float:
        """Left for the final run."""
        return max(self.budget_s - self.spent_s(), LEAST_S)
