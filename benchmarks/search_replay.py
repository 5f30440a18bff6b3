"""The product's search, replayed on a measured grid: nothing is timed, everything is looked up.

The proposals, cohorts, forecasts and decisions are those of `fitwright fit`; only its races
and passes are replaced by tables. Noise of a race is added to each figure, so that the search
has to live with what it would see.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp
from pathlib import Path

from search_grid import Grid, Row

from fitwright.bench.cohort import Leave
from fitwright.bench.setup import Measurement, Setup, Target
from fitwright.flow import loop
from fitwright.flow.races import Raced
from fitwright.flow.search import Search
from fitwright.flow.steps import Walk
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import Tools
from fitwright.records.agenda import Chain
from fitwright.records.figure import Figure
from fitwright.records.recipe import Skipped, Variant
from fitwright.records.run import RunFolder
from fitwright.records.trial import Comparison, Failure, Trial

NOISE = 0.01  # standard deviation of a race's log-ratio
HALF_WIDTH = 0.02  # of its interval


@dataclass(kw_only=True)
class TableRaces:
    """Races looked up in a grid; counts what would have been measured."""

    grid: Grid
    random: random.Random
    measured: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rows = {row.key: row for row in self.grid.rows}

    def alone(self, setup: Setup, target: Target, *, best: Trial | None, budget_s: float) -> Raced:
        """One candidate."""
        del setup, budget_s
        key = target.candidate.key
        if key not in self.measured:
            self.measured.append(key)
        incumbent = best.figures if best else None
        return Raced(measured=self._measurement(self._rows[key], target, best), incumbent=incumbent)

    def together(
        self,
        setup: Setup,
        targets: Sequence[Target],
        *,
        best: Trial,
        budget_s: float,
        leave: Leave,
    ) -> str | None:
        """All but the fastest leave; nobody is left when that one is slower than the best."""
        del setup, budget_s
        self.measured.extend(t.candidate.key for t in targets)
        seen = {
            t.candidate.key: self._measurement(self._rows[t.candidate.key], t, best)
            for t in targets
        }
        runs = {k: m.comparison for k, m in seen.items() if m.comparison is not None}
        top = max(runs, key=lambda k: runs[k].ratio, default=None)
        survivor = None if top is None or runs[top].outcome == "slower" else top
        for key, measured in seen.items():
            if key != survivor:
                leave(key, measured)
        return survivor

    def settle(self, *, accepted: bool) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def _measurement(self, row: Row, target: Target, best: Trial | None) -> Measurement:
        if row.speed is None:
            cause = "disagrees" if row.relative_l2 else "raised"
            failure = Failure(cause=cause, detail=row.failure[:200], distance=row.relative_l2)
            return Measurement(failure=failure)
        latency_s = self.grid.reference_s / row.speed
        figures = {
            "latency_p50": Figure.measured(latency_s, unit="s"),
            "size": Figure.measured(float(target.size_bytes), unit="bytes"),
            "peak_memory": Figure.measured(row.memory_bytes or 1.0, unit="bytes"),
            "relative_l2": Figure.measured(row.relative_l2 or 0.0),
        }
        facts = {"precision": row.precision}
        return Measurement(figures=figures, comparison=self._comparison(row, best), facts=facts)

    def _comparison(self, row: Row, best: Trial | None) -> Comparison | None:
        if best is None:
            return None
        theirs = self._rows[best.candidate.key].speed
        assert theirs and row.speed, "the best so far runs"
        ratio = row.speed / theirs * exp(self.random.gauss(0.0, NOISE))
        low, high = ratio * (1 - HALF_WIDTH), ratio * (1 + HALF_WIDTH)
        outcome = "faster" if low > 1 else "slower" if high < 1 else "undecided"
        return Comparison(
            incumbent=best.candidate.key, ratio=ratio, low=low, high=high, num_rounds=9,
            outcome=outcome,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What one search of the grid came to.

    Attributes:
        best_so_far: speed of the best accepted after each measured trial.
    """

    num_trials: int
    best: str
    best_so_far: tuple[float, ...]


def replay(grid: Grid, walk: Walk, tools: Tools, *, seed: int) -> Replayed:
    """The whole search, as `fit` runs it, without a final run."""
    races = TableRaces(grid=grid, random=random.Random(seed))

    def maker(search: Search, start: Variant, chain: Chain, *, num_made: int) -> Variant | Skipped:
        del search, start, num_made
        made = grid.adapted.made_by(chain)
        return made or Skipped(recipes=chain, reason="skipped when the grid was made")

    with tempfile.TemporaryDirectory(prefix="replay-") as place:
        watch = Stopwatch(started=0.0, budget_s=1e9, clock=lambda: 0.0, console=tools.console)
        no_probes = replace(tools, probes={})  # mixed precision is not in the grid
        search = Search(
            walk, tools=no_probes, run=RunFolder(Path(place)), watch=watch, races=races, maker=maker
        )
        search.setup = replace(search.setup, seed=seed)
        loop(search, refuted=set(), on_accepted=lambda _: None)
        return _replayed(grid, search, races)


def _replayed(grid: Grid, search: Search, races: TableRaces) -> Replayed:
    speeds = {row.key: row.speed or 0.0 for row in grid.rows}
    accepted = {t.candidate.key for t in search.path()}
    best, curve = 0.0, []
    for key in races.measured:
        best = max(best, speeds[key]) if key in accepted else best
        curve.append(best)
    return Replayed(
        num_trials=len(races.measured), best=search.best_key(), best_so_far=tuple(curve)
    )


def at_random(grid: Grid, *, num_trials: int, seed: int) -> float:
    """Speed of the best candidate that runs and agrees among so many drawn at random."""
    drawn = random.Random(seed).sample(grid.rows, min(num_trials, len(grid.rows)))
    return max((row.speed or 0.0 for row in drawn), default=0.0)
