"""The search through the settings of the pairs worth tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import final

from fitwright.records.agenda import Chain
from fitwright.records.need import Need
from fitwright.records.plan import Plan, Settings
from fitwright.records.recipe import REWRITING, FixShapes, Variant
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.sampler import Sampler, sampler_for
from fitwright.tune.space import JointSpace, Point, joint_space
from fitwright.tune.standing import Pair, Standing

NUM_TUNED_PAIRS = 3
WORTH_TUNING = 0.75  # a pair this far behind the best is not rescued by its settings
PATIENCE = 8  # settings tried since the last that was accepted; then the space is left


def pairs_worth_tuning(standing: Standing, variants: Iterable[Variant]) -> tuple[Pair, ...]:
    """The fastest (variant, backend) pairs: that of the best first, then the fastest first.

    What left a cohort after a few rounds may look faster than what won a race. Of the
    rewritings of one body (the same arithmetic, other operators) only the first counts: what
    settings do for one they do for the others, and `tune.propose` puts them together.
    """
    best = standing.best.candidate if standing.best else None
    proven = (best.variant_id, best.backend) if best else None
    floor = WORTH_TUNING * standing.top_speed
    ranked = sorted(
        (pair for pair, speed in standing.pairs.items() if speed >= floor),
        key=lambda pair: (pair != proven, -standing.pairs[pair]),
    )
    bodies = {variant.id: _body(variant) for variant in variants}
    chosen: dict[tuple[Chain, str], Pair] = {}
    for variant_id, backend in ranked:
        chosen.setdefault((bodies[variant_id], backend), (variant_id, backend))
    return tuple(chosen.values())[:NUM_TUNED_PAIRS]


def _body(variant: Variant) -> Chain:
    """What is left of the chain without its rewriting."""
    return tuple(r for r in variant.recipes if not isinstance(r, (FixShapes, *REWRITING)))


def explored(standing: Standing, *, round_: int) -> bool:
    """Whether the settings tried since something won were of no use: more would hardly be."""
    short = [t for t in standing.trials if t.stage == "short"]
    accepted = [i for i, trial in enumerate(short) if trial.decision == "accepted"]
    since = short[accepted[-1] + 1 if accepted else 0 :]
    return sum(t.round == round_ for t in since) >= PATIENCE


def objectives(need: Need) -> tuple[str, ...]:
    """What settings can change and the contract asks for: time, and memory where limited."""
    limited = {limit.name for limit in need.limits}
    return ("time", "peak_memory") if "peak_memory" in limited else ("time",)


@final
class Exploration:
    """One joint space and its sampler, kept up to date from the standing.

    The single changes come first, those of the fastest pair before the others': most settings
    act by themselves, so that is where the sampler's knowledge should begin. It then proposes
    what to combine.

    Args:
        usual: by backend, the settings that a single change is made to, where they are not its
            defaults (see `tune.pace`).
    """

    def __init__(
        self,
        space: JointSpace,
        *,
        objectives: Sequence[str],
        sampler: Sampler,
        usual: Mapping[str, Settings] | None = None,
    ) -> None:
        self.space = space
        self.sampler = sampler
        self._objectives = objectives
        self._points: dict[str, Point] = {}
        for point in space.points():
            self._points.setdefault(space.candidate(point).key, point)
        self._known: set[str] = set()
        self._num_told = 0
        begin = [_begin(space, pair, usual or {}) for pair in range(len(space.pairs))]
        self._first = [p for p in self._points.values() if _is_single(p, begin[p.pair])]

    def next(self, number: int, standing: Standing) -> tuple[Candidate, ...]:
        """At most so many candidates that were not tried; empty when none is left.

        Of the same settings on one backend, and of a combination and a part of it, only the
        first is among them: what it shows may spare the other (see `tune.hopeless`).
        """
        self._tell(standing)
        found: list[Candidate] = []
        put_off: list[Point] = []
        while len(found) < number and len(put_off) < number:
            point = self._one()
            if point is None:
                break
            candidate = self.space.candidate(point)
            if candidate.key in standing.tried:
                continue
            if any(_tells_of(o, candidate) or _tells_of(candidate, o) for o in found):
                put_off.append(point)
            else:
                found.append(candidate)
        self._first[:0] = put_off
        return tuple(found)

    def _one(self) -> Point | None:
        if self._first:
            return self._first.pop(0)
        asked = self.sampler.ask(1)
        return asked[0] if asked else None

    def _tell(self, standing: Standing) -> None:
        news, self._num_told = standing.trials[self._num_told :], len(standing.trials)
        for trial in news:
            key = trial.candidate.key
            if key in self._known or key not in self._points or trial.stage != "short":
                continue
            self._known.add(key)
            values = _values(trial, standing.speeds, self._objectives)
            self.sampler.tell(self._points[key], objectives=values)


def exploration(
    plan: Plan,
    variants: Iterable[Variant],
    standing: Standing,
    *,
    need: Need,
    usual: Mapping[str, Settings] | None = None,
    seed: int = 0,
) -> Exploration:
    """The settings of the pairs worth tuning at this moment; `usual` as in `Exploration`."""
    by_id = {variant.id: variant for variant in variants}
    pairs = [(by_id[v], b) for v, b in pairs_worth_tuning(standing, by_id.values())]
    space = joint_space(pairs, plan.backends)
    wanted = objectives(need)
    sampler = sampler_for(space, num_objectives=len(wanted), seed=seed)
    return Exploration(space, objectives=wanted, sampler=sampler, usual=usual)


def _tells_of(one: Candidate, other: Candidate) -> bool:
    """Whether all that `one` states is stated by the other, on the same backend."""
    if one.backend != other.backend:
        return False
    return _fields(one.settings) <= _fields(other.settings)


def _begin(space: JointSpace, pair: int, usual: Mapping[str, Settings]) -> tuple[int, ...]:
    """The choice of each dimension that is stated by the usual settings of the pair's backend."""
    backend = space.pairs[pair][1]
    stated = _fields(usual.get(backend, Settings()))
    return tuple(
        next((i for i, c in enumerate(choices) if i and _fields(c) <= stated), 0)
        for choices in space.of_pair(pair)
    )


def _fields(settings: Settings) -> Set[tuple[str, object]]:
    return settings.model_dump(exclude_defaults=True).items()


def _is_single(point: Point, begin: tuple[int, ...]) -> bool:
    """Whether one choice was made where nothing is stated, and all else is as stated."""
    pairs = zip(point.choices, begin, strict=True)
    changed = [stated for chosen, stated in pairs if chosen != stated]
    return changed == [0]


def _values(
    trial: Trial, speeds: Mapping[str, float], names: Sequence[str]
) -> tuple[float, ...] | None:
    """The trial's objectives, lower is better; None when one of them is not known."""
    speed = speeds.get(trial.candidate.key)
    if not speed:
        return None
    values = [-math.log(speed)]
    for name in names[1:]:
        figure = trial.figures.get(name)
        if figure is None or not figure.value:
            return None
        values.append(math.log(figure.value))
    return tuple(values)
