"""Which point of the joint space to try next: Optuna's sampler, or at random without it.

The history is ours: every trial is kept by the run, and the sampler is told of those that
lie in the space. So a resumed run samples on from the same knowledge, and Optuna's own
storage is not needed.
"""

from __future__ import annotations

import math
import random
import warnings
from bisect import insort
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, final

from fitwright.tune.space import JointSpace, Point

if TYPE_CHECKING:
    import optuna

MOST_ASKS = 12  # for one untried point; the sampler may well repeat itself in a small space
MOST_TOLD = 100  # the estimator's time grows with every trial; by then it knows where to look
NUM_STARTUP = 4  # trials drawn at random before the estimator has something to estimate from


class Sampler(Protocol):
    """Proposes points of one joint space."""

    @property
    def name(self) -> str:
        """For the user: how settings are chosen."""
        ...

    def ask(self, number: int) -> tuple[Point, ...]:
        """At most so many points that nobody has tried; empty when there is none left."""
        ...

    def tell(self, point: Point, *, objectives: Sequence[float] | None) -> None:
        """What a point came to, lower is better; None when it failed."""
        ...


@final
class RandomSampler:
    """Every untried point is as likely as another."""

    name = "at random (install fitwright[search] for Optuna's sampler)"

    def __init__(self, space: JointSpace, *, seed: int) -> None:
        self._left = list(space.points())
        random.Random(seed).shuffle(self._left)

    def ask(self, number: int) -> tuple[Point, ...]:
        """The next of a shuffled list."""
        asked, self._left = self._left[:number], self._left[number:]
        return tuple(asked)

    def tell(self, point: Point, *, objectives: Sequence[float] | None) -> None:
        """A point once tried is not drawn again."""
        del objectives
        if point in self._left:
            self._left.remove(point)


@final
class TpeSampler:
    """Optuna's multivariate tree-structured Parzen estimator by ask and tell.

    Several objectives make it propose along their Pareto front (MOTPE). After `MOST_TOLD`
    trials the untried neighbours of the best points (by the first objective) come instead.

    Source: Watanabe, "Tree-Structured Parzen Estimator", arXiv 2304.11127.
    """

    name = "by Optuna's TPE"

    def __init__(self, space: JointSpace, *, num_objectives: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._left = dict.fromkeys(space.points())
        self._asked: dict[Point, optuna.Trial] = {}
        self._ranked: list[tuple[float, int, Point]] = []
        self._num_told = 0
        self._distributions = _distributions(space)
        with warnings.catch_warnings():
            # multivariate and group have been marked experimental since Optuna 2
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=NUM_STARTUP,
                multivariate=True,
                group=True,
                constant_liar=True,
                seed=seed,
            )
        self._study = optuna.create_study(directions=["minimize"] * num_objectives, sampler=sampler)

    def ask(self, number: int) -> tuple[Point, ...]:
        """Untried points the estimator likes best; what it repeats is not tried again."""
        asked: list[Point] = []
        while self._left and len(asked) < number:
            asked.append(self._one() if self._num_told < MOST_TOLD else self._neighbour())
        return tuple(asked)

    def _one(self) -> Point:
        point, trial = self._suggested()
        asks = 1
        while point not in self._left and asks < MOST_ASKS:
            self._forget(trial)
            point, trial = self._suggested()
            asks += 1
        if point not in self._left:
            self._forget(trial)
            return self._nearest(point)
        del self._left[point]
        self._asked[point] = trial
        return point

    def _neighbour(self) -> Point:
        """One choice away from the best point that has such a neighbour left."""
        while self._ranked:
            for point in _neighbours(self._space, self._ranked[0][2]):
                if point in self._left:
                    del self._left[point]
                    return point
            self._ranked.pop(0)
        point = next(iter(self._left))
        del self._left[point]
        return point

    def _suggested(self) -> tuple[Point, optuna.Trial]:
        trial = self._study.ask()
        return _point(self._space, trial), trial

    def _forget(self, trial: optuna.Trial) -> None:
        import optuna

        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _nearest(self, wanted: Point) -> Point:
        """The untried point that differs from the wanted one in the fewest choices."""

        def distance(point: Point) -> float:
            if point.pair != wanted.pair:
                return math.inf
            return sum(a != b for a, b in zip(point.choices, wanted.choices, strict=True))

        nearest = min(self._left, key=distance)
        del self._left[nearest]
        return nearest

    def tell(self, point: Point, *, objectives: Sequence[float] | None) -> None:
        """Asked or not: trials of earlier stages count as well."""
        import optuna

        self._left.pop(point, None)
        if objectives is not None:
            self._num_told += 1
            insort(self._ranked, (objectives[0], self._num_told, point))
        failed, complete = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE
        state = failed if objectives is None else complete
        if (trial := self._asked.pop(point, None)) is not None:
            self._study.tell(trial, values=objectives, state=state)
            return
        if objectives is None or self._num_told > MOST_TOLD:
            return
        params = _params(self._space, point)
        told = optuna.trial.create_trial(
            params=params,
            distributions={name: self._distributions[name] for name in params},
            values=list(objectives),
        )
        self._study.add_trial(told)


def sampler_for(space: JointSpace, *, num_objectives: int = 1, seed: int = 0) -> Sampler:
    """Optuna's when it is installed, else at random."""
    if find_spec("optuna") is None:
        return RandomSampler(space, seed=seed)
    return TpeSampler(space, num_objectives=num_objectives, seed=seed)


def _neighbours(space: JointSpace, point: Point) -> Iterator[Point]:
    """Every point of the same pair that differs in one choice."""
    for place, choices in enumerate(space.of_pair(point.pair)):
        for choice in range(len(choices)):
            if choice != point.choices[place]:
                changed = (*point.choices[:place], choice, *point.choices[place + 1 :])
                yield Point(pair=point.pair, choices=changed)


def _names(space: JointSpace, pair: int) -> tuple[str, ...]:
    """One parameter per dimension; those of one backend are shared by its variants."""
    backend = space.pairs[pair][1]
    return tuple(f"{backend}.{i}" for i in range(len(space.of_pair(pair))))


def _distributions(space: JointSpace) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution

    found: dict[str, Any] = {"pair": CategoricalDistribution(tuple(range(len(space.pairs))))}
    for pair in range(len(space.pairs)):
        for name, choices in zip(_names(space, pair), space.of_pair(pair), strict=True):
            found[name] = CategoricalDistribution(tuple(range(len(choices))))
    return found


def _point(space: JointSpace, trial: optuna.Trial) -> Point:
    pair = int(trial.suggest_categorical("pair", tuple(range(len(space.pairs)))))
    choices = (
        int(trial.suggest_categorical(name, tuple(range(len(choices)))))
        for name, choices in zip(_names(space, pair), space.of_pair(pair), strict=True)
    )
    return Point(pair=pair, choices=tuple(choices))


def _params(space: JointSpace, point: Point) -> dict[str, int]:
    names = _names(space, point.pair)
    return {"pair": point.pair, **dict(zip(names, point.choices, strict=True))}
