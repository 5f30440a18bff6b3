"""Settings: a conditional space, sampled by ask and tell, left when it gives nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwright.records.figure import Figure
from fitwright.records.plan import BackendPlan, Settings
from fitwright.records.recipe import Variant
from fitwright.records.trial import Candidate, Comparison, Trial
from fitwright.tune import sampler as sampler_module
from fitwright.tune.explore import Exploration, objectives
from fitwright.tune.sampler import RandomSampler, Sampler, TpeSampler
from fitwright.tune.space import JointSpace, dimensions, joint_space
from fitwright.tune.standing import Standing
from needs import SIZE, need

ONE, TWO = Settings(threads=1), Settings(threads=2)
CALLERS = Settings(threads=1, streams=2)
CALM = Settings(spinning=False)
EXTENDED = Settings(graph_optimization="extended")


def variant(id_: str, *, settings: Settings | None = None) -> Variant:
    return Variant(
        id=id_, recipes=(), file="m", files=("m",), format="onnx", sha256="0" * 64, size_bytes=1,
        backends=("a", "b"), settings=settings or Settings(),
    )  # fmt: skip


def plan(backend: str, *settings: Settings) -> BackendPlan:
    return BackendPlan(backend=backend, settings=(Settings(), *settings))


SPACE = joint_space(
    [(variant("x"), "a"), (variant("y"), "b"), (variant("z"), "a")],
    [plan("a", ONE, TWO, CALM, EXTENDED), plan("b", CALLERS, EXTENDED)],
)
SAMPLERS: dict[str, Callable[[JointSpace], Sampler]] = {
    "random": lambda space: RandomSampler(space, seed=0),
    "tpe": lambda space: TpeSampler(space, num_objectives=1, seed=0),
}


def test_settings_that_state_the_same_field_exclude_each_other() -> None:
    assert dimensions(plan("a", ONE, TWO, CALM)) == (
        (Settings(), ONE, TWO),
        (Settings(), CALM),
    )
    bridged = dimensions(plan("a", ONE, Settings(streams=2), CALLERS))
    assert [len(choices) for choices in bridged] == [4], "callers state what the others state"


def test_the_space_is_the_sum_over_pairs_of_the_product_of_their_dimensions() -> None:
    assert SPACE.size() == 3 * 2 * 2 + 2 * 2 + 3 * 2 * 2
    keys = [SPACE.candidate(point).key for point in SPACE.points()]
    assert len(set(keys)) == len(keys) == SPACE.size()


def test_what_a_variant_requires_wins_over_every_choice() -> None:
    bound = variant("x", settings=Settings(threads=7))
    space = joint_space([(bound, "a")], [plan("a", ONE, CALM)])
    assert {space.candidate(p).settings.threads for p in space.points()} == {7}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_point_is_asked_once_and_then_none_is_left(name: str) -> None:
    sampler, seen = SAMPLERS[name](SPACE), []
    while asked := sampler.ask(3):
        for number, point in enumerate(asked, start=len(seen)):
            seen.append(point)
            failed = number % 5 == 0
            sampler.tell(point, objectives=None if failed else (float(sum(point.choices)),))
    assert sorted(map(repr, seen)) == sorted(map(repr, SPACE.points()))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_point_told_of_is_not_asked(name: str) -> None:
    sampler = SAMPLERS[name](SPACE)
    told = list(SPACE.points())[::2]
    for point in told:
        sampler.tell(point, objectives=(1.0,))
    asked = sampler.ask(SPACE.size())
    assert set(asked) == set(SPACE.points()) - set(told)


def test_after_many_trials_the_neighbours_of_the_best_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler_module, "MOST_TOLD", 2)
    sampler = TpeSampler(SPACE, num_objectives=1, seed=0)
    bad, *_, best = SPACE.points()
    sampler.tell(bad, objectives=(9.0,))
    sampler.tell(best, objectives=(1.0,))
    dimensions = [len(choices) for choices in SPACE.of_pair(best.pair)]
    num_neighbours = sum(size - 1 for size in dimensions)
    asked = sampler.ask(num_neighbours)
    assert {p.pair for p in asked} == {best.pair}
    for point in asked:
        assert sum(a != b for a, b in zip(point.choices, best.choices, strict=True)) == 1
    rest = sampler.ask(SPACE.size())
    assert sorted(map(repr, (bad, best, *asked, *rest))) == sorted(map(repr, SPACE.points()))


def cost(candidate: Candidate) -> float:
    """Time of a candidate of the larger space below: two settings help only together."""
    settings = candidate.settings
    together = settings.threads == 5 and settings.spinning is False
    return 1.0 - 0.5 * together + 0.05 * abs((settings.threads or 1) - 5)


LARGE = joint_space(
    [(variant(name), "a") for name in "xyz"],
    [plan("a", *(Settings(threads=t) for t in range(1, 9)), CALM, EXTENDED)],
)


def asks_until_best(make: Callable[[int], Sampler]) -> list[int]:
    """Over twenty seeds: how many points until the best was asked."""
    best = min(cost(LARGE.candidate(p)) for p in LARGE.points())
    found = []
    for seed in range(20):
        sampler = make(seed)
        for number in range(1, LARGE.size() + 1):
            (point,) = sampler.ask(1)
            value = cost(LARGE.candidate(point))
            if value == best:
                found.append(number)
                break
            sampler.tell(point, objectives=(math.log(value),))
    return found


@pytest.mark.slow
def test_the_estimator_needs_fewer_trials_than_chance() -> None:
    tpe = asks_until_best(lambda seed: TpeSampler(LARGE, num_objectives=1, seed=seed))
    chance = asks_until_best(lambda seed: RandomSampler(LARGE, seed=seed))
    assert sum(tpe) < 0.8 * sum(chance)


def trial(number: int, candidate: Candidate, *, ratio: float | None = None) -> Trial:
    comparison = None
    if ratio is not None:
        comparison = Comparison(
            incumbent=START.key, ratio=ratio, low=ratio, high=ratio, num_rounds=9, outcome="slower"
        )
    return Trial(
        number=number, round=1, candidate=candidate, reason="", comparison=comparison,
        decision="accepted" if ratio is None else "rejected",
        figures={"peak_memory": Figure.measured(1e6, unit="bytes")},
    )  # fmt: skip


START = Candidate(variant_id="x", title="", backend="a", settings=Settings())


def exploration(space: JointSpace = SPACE) -> Exploration:
    return Exploration(space, objectives=("time",), sampler=RandomSampler(space, seed=0))


def test_the_single_changes_of_the_fastest_pair_come_first() -> None:
    asked = exploration().next(4, Standing([trial(1, START)]))
    assert [c.settings for c in asked] == [EXTENDED, CALM, ONE, TWO]
    assert {c.variant_id for c in asked} == {"x"}


def test_single_changes_are_made_to_the_settings_that_are_usual_on_the_backend() -> None:
    sampler = RandomSampler(SPACE, seed=0)
    exploring = Exploration(SPACE, objectives=("time",), sampler=sampler, usual={"a": ONE})
    asked = exploring.next(2, Standing([trial(1, START)]))
    assert [c.settings for c in asked] == [ONE.merged(EXTENDED), ONE.merged(CALM)]


def test_what_is_asked_at_once_does_not_tell_of_each_other() -> None:
    exploring, standing = exploration(), Standing([trial(1, START)])
    while asked := exploring.next(5, standing):
        for one, other in itertools.permutations(asked, 2):
            stated = one.settings.model_dump(exclude_defaults=True).items()
            others = other.settings.model_dump(exclude_defaults=True).items()
            assert one.backend != other.backend or not stated <= others
        for candidate in asked:
            standing.add(trial(len(standing.trials) + 1, candidate, ratio=0.9))


@given(st.sets(st.integers(0, SPACE.size() - 1)))
def test_what_was_tried_is_not_proposed_again(tried: set[int]) -> None:
    candidates = [SPACE.candidate(p) for p in SPACE.points()]
    first = trial(1, START)
    others = [trial(2 + i, candidates[i], ratio=0.9) for i in tried if candidates[i] != START]
    standing = Standing([first, *others])
    left = sorted({c.key for c in candidates} - standing.tried)
    exploring, asked = exploration(), list[str]()
    while some := exploring.next(5, standing):
        asked += [c.key for c in some]
        for candidate in some:
            standing.add(trial(len(standing.trials) + 1, candidate, ratio=0.9))
    assert sorted(asked) == left


def test_memory_is_an_objective_where_the_contract_limits_it() -> None:
    assert objectives(need(SIZE)) == ("time",)
    memory = SIZE.model_copy(update={"name": "peak_memory", "figure": "peak_memory"})
    assert objectives(need(memory)) == ("time", "peak_memory")
