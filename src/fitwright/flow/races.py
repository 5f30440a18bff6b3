"""Step 5 inside the search: who runs against whom, in children that outlive one race."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, final

from fitwright.bench.cohort import Leave, eliminate
from fitwright.bench.setup import Contender, Measurement, Setup, Target
from fitwright.bench.trial import objective_block, open_contender, try_candidate
from fitwright.records.figure import Figure
from fitwright.records.trial import Trial

TargetOf = Callable[[Trial], Target]


@dataclass(frozen=True, kw_only=True)
class Raced:
    """One race.

    Attributes:
        incumbent: figures of the best so far, those of the same rounds where there are any;
            None when nobody was raced against.
    """

    measured: Measurement
    incumbent: Mapping[str, Figure] | None


class Races(Protocol):
    """Measures candidates against the best so far."""

    def alone(self, setup: Setup, target: Target, *, best: Trial | None, budget_s: float) -> Raced:
        """One candidate in full. Raises TrialFailed when the incumbent is lost."""
        ...

    def together(
        self,
        setup: Setup,
        targets: Sequence[Target],
        *,
        best: Trial,
        budget_s: float,
        leave: Leave,
    ) -> str | None:
        """A cohort, halved until one is left: its key. Raises TrialFailed as `alone` does."""
        ...

    def settle(self, *, accepted: bool) -> None:
        """Keep the child of the candidate raced last as the new incumbent's, or end it."""
        ...

    def close(self) -> None:
        """End every child."""
        ...


@final
@dataclass(kw_only=True)
class ChildRaces:
    """Races between child processes; the incumbent's child stays open from race to race.

    Attributes:
        target_of: how a trial of this run is opened again.
    """

    target_of: TargetOf
    _incumbent: Contender | None = field(default=None, init=False)
    _challenger: Contender | None = field(default=None, init=False)

    def alone(self, setup: Setup, target: Target, *, best: Trial | None, budget_s: float) -> Raced:
        """Verify, then race; the challenger's child is kept until `settle`."""
        incumbent = self._opened(setup, best)
        measured = try_candidate(setup, target, incumbent=incumbent, budget_s=budget_s)
        self._challenger = measured.contender
        figures = None
        if incumbent is not None:
            figures = {**incumbent.figures, **measured.incumbent_figures}
        return Raced(measured=measured, incumbent=figures)

    def together(
        self,
        setup: Setup,
        targets: Sequence[Target],
        *,
        best: Trial,
        budget_s: float,
        leave: Leave,
    ) -> str | None:
        """See `bench.cohort`."""
        incumbent = self._opened(setup, best)
        assert incumbent is not None, "there is a best so far"
        block = objective_block(setup)
        return eliminate(
            setup, targets, incumbent=incumbent, budget_s=budget_s, block=block, leave=leave
        )

    def settle(self, *, accepted: bool) -> None:
        """The winner's child stays open for the next race, the loser's ends."""
        if self._challenger is None:
            return
        loser = self._challenger
        if accepted:
            loser, self._incumbent = self._incumbent or loser, self._challenger
        if loser is not self._incumbent:
            loser.worker.close()
        self._challenger = None

    def close(self) -> None:
        """End the incumbent's child; the next race opens it again."""
        for contender in (self._challenger, self._incumbent):
            if contender is not None:
                contender.worker.close()
        self._challenger = self._incumbent = None

    def _opened(self, setup: Setup, best: Trial | None) -> Contender | None:
        """The open child of the best so far; reopened after a final run and after a resume."""
        if best is not None and self._incumbent is None:
            self._incumbent = open_contender(setup, self.target_of(best))
            self._incumbent.figures = best.figures
        return self._incumbent
