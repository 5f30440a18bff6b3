"""Where the run stands: who is the best so far, and how fast everybody is against the start."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from fitwright.records.plan import Settings
from fitwright.records.trial import Candidate, Comparison, Trial

Pair = tuple[str, str]  # variant id, backend


class Standing:
    """What the trials so far say, kept up to date trial by trial.

    Speeds are relative to the first accepted candidate. Each candidate was raced against
    the incumbent of its time, so ratios are chained through the incumbents; absolute times
    from different minutes are never compared.

    Attributes:
        trials: in the order they ended.
        tried: keys of the candidates with a short trial, whatever came of it.
        speeds, lows: of every measured candidate, by key; and by the low end of its interval.
        path: everything accepted, from the strongest baseline to the best so far.
        open: trials that left the order between the candidate and the best open, by key: it left
            a cohort, or its race ended too noisy to decide. Those raced again since are not there.
        fastest: on each backend, with its speed.
        rounds: places in `trials` of the short trials of each stage of the search.
        disagreed: pairs that were too far from the original, and how many times as far as is
            allowed; infinite where that is not known.
        would_be: the speed of those of them that were timed all the same.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.trials: list[Trial] = []
        self.tried: set[str] = set()
        self.speeds: dict[str, float] = {}
        self.lows: dict[str, float] = {}
        self.path: list[Trial] = []
        self.open: dict[str, Trial] = {}
        self.fastest: dict[str, tuple[float, Candidate]] = {}
        self.rounds: dict[int, list[int]] = {}
        self.disagreed: dict[Pair, float] = {}
        self.would_be: dict[Pair, float] = {}
        self._candidates: dict[str, Candidate] = {}
        self._pairs: dict[Pair, float] = {}
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """One more finished trial."""
        self.trials.append(trial)
        if trial.stage != "short":
            return
        self.rounds.setdefault(trial.round, []).append(len(self.trials) - 1)
        key = trial.candidate.key
        self.tried.add(key)
        undecided = trial.comparison is not None and trial.comparison.outcome == "undecided"
        if self.open.pop(key, None) is None and (trial.eliminated or undecided):
            self.open[key] = trial
        if trial.decision == "accepted":
            self.path.append(trial)
        pair = trial.candidate.variant_id, trial.candidate.backend
        if trial.failure is not None and trial.failure.cause == "disagrees":
            excess = trial.failure.excess
            self.disagreed[pair] = math.inf if excess is None else excess
            self._glanced(pair, trial.failure.glance)
        if (speed := self._speed(trial)) is not None:
            self._measured(trial.candidate, pair, speed)
            seen = trial.comparison
            self.lows[key] = speed * seen.low / seen.ratio if seen else speed

    def _measured(self, candidate: Candidate, pair: Pair, speed: float) -> None:
        self._candidates[candidate.key] = candidate
        self.speeds[candidate.key] = speed
        self._pairs[pair] = max(speed, self._pairs.get(pair, 0.0))
        if speed > self.fastest.get(candidate.backend, (0.0, candidate))[0]:
            self.fastest[candidate.backend] = speed, candidate

    def _glanced(self, pair: Pair, glance: Comparison | None) -> None:
        incumbent = self.speeds.get(glance.incumbent) if glance else None
        if glance and incumbent:
            self.would_be[pair] = max(incumbent * glance.ratio, self.would_be.get(pair, 0.0))

    def _speed(self, trial: Trial) -> float | None:
        if trial.failure is not None:
            return None
        if trial.comparison is None:
            return None if self.speeds or trial.decision != "accepted" else 1.0
        incumbent = self.speeds.get(trial.comparison.incumbent)
        return None if incumbent is None else incumbent * trial.comparison.ratio

    def of_round(self, number: int) -> list[Trial]:
        """The short trials of one stage of the search, in the order they ended."""
        return [self.trials[i] for i in self.rounds.get(number, ())]

    @property
    def best(self) -> Trial | None:
        """The best verified candidate so far: the last one accepted."""
        return self.path[-1] if self.path else None

    @property
    def top_speed(self) -> float:
        """Of the fastest candidate measured; 0 before there is one."""
        return max(self._pairs.values(), default=0.0)

    @property
    def pairs(self) -> Mapping[Pair, float]:
        """The best speed of each (variant, backend) that was measured."""
        return self._pairs

    def candidates(self) -> Iterable[tuple[Candidate, float]]:
        """Every measured candidate with its speed, in the order they were measured."""
        return ((c, self.speeds[key]) for key, c in self._candidates.items())

    def ratio_to_best(self, key: str) -> float | None:
        """How many times as fast as the best so far a candidate was; None when it was not
        measured."""
        speed, best = self.speeds.get(key), self.best
        if speed is None or best is None:
            return None
        return speed / self.speeds.get(best.candidate.key, 1.0)

    def speed_of(self, variant_id: str, backend: str, settings: Settings) -> float | None:
        """Speed of one candidate; None when it was not measured."""
        candidate = Candidate(variant_id=variant_id, title="", backend=backend, settings=settings)
        return self.speeds.get(candidate.key)


def incumbent_of(trials: Sequence[Trial]) -> Trial | None:
    """The best verified candidate so far: the last one accepted, or the best baseline."""
    return Standing(trials).best


def accepted_path(trials: Sequence[Trial]) -> list[Trial]:
    """From the strongest baseline to the best so far, in the order they were accepted."""
    return Standing(trials).path


def speeds(trials: Sequence[Trial]) -> dict[str, float]:
    """Speed of every measured candidate relative to the first accepted one, by key."""
    return Standing(trials).speeds
