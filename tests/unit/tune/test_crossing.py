"""The best body on other rewritings, and what left its cohort close to the best."""

from __future__ import annotations

import pytest

from fitwright.records.agenda import Chain
from fitwright.records.recipe import Adapted, Bf16, Int8Static, Variant
from fitwright.tune.proposal import RUNOFF, Explore, Make, Step, Together
from fitwright.tune.propose import propose
from proposals import (
    FIX,
    FIXED,
    INT8,
    ONE,
    ORIGINAL,
    REWRITTEN,
    knowledge,
    shown,
    trial,
    tuned,
    variant,
)


def crossed(
    *, other: float, made: tuple[Variant, ...] = (), longer: float | None = None
) -> Step | None:
    """What follows the settings: int8 on fixed shapes won, the other rewriting came to this."""
    rewritten = variant("rewritten", *REWRITTEN)
    int8 = variant("int8", *FIX, Int8Static())
    variants = (ORIGINAL, FIXED, rewritten, int8, *made)
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.4, against=first, round_=1),
        *(trial(n, v, b, decision="rejected", ratio=r * scale, against=first)
          for n, (v, r) in enumerate(((FIXED, 1.0), (rewritten, other)), start=2)
          for b, scale in (("a", 1.0), ("b", 0.4))),
        trial(4, int8, "b", decision="rejected", ratio=0.5, against=first),
        trial(5, int8, "a", decision="accepted", ratio=2.0, against=first, settings=ONE),
        trial(6, int8, "a", decision="rejected", ratio=1.9, against=first),
    ]  # fmt: skip
    rewrites: tuple[Chain, ...] = (FIX, REWRITTEN)
    if longer is not None:
        trials += [
            trial(7, made[0], "a", decision="rejected", ratio=longer, against=first),
            trial(8, made[0], "b", decision="rejected", ratio=0.4, against=first),
        ]
        rewrites = (*rewrites, made[0].recipes)
    known = knowledge(
        Adapted(
            variants=variants,
            chains=tuple(v.recipes for v in variants[1:]),
            made=tuple(v.id for v in variants[1:]),
        ),
        trials,
        rewrites=rewrites,
        apart=[(int8.recipes, "a"), (int8.recipes, "b")],
    )
    return propose(tuned(known))


def test_the_best_body_is_put_on_another_rewriting_that_was_nearly_as_fast() -> None:
    assert crossed(other=0.9) == Make(chain=(*REWRITTEN, Int8Static()))
    assert crossed(other=0.8) is None


def test_bodies_are_put_on_the_longest_of_the_rewritings_that_were_nearly_as_fast() -> None:
    longer: Chain = (*REWRITTEN, Bf16())  # any recipe can stand for a rewriting here
    made = variant("longer", *longer)
    step = crossed(other=0.95, made=(made,), longer=0.9)
    assert step == Make(chain=(*longer, Int8Static()))


@pytest.mark.parametrize(("speed", "expected"), [(1.95, True), (1.8, False)])
def test_a_backend_as_close_as_chance_is_crossed_as_well(*, speed: float, expected: bool) -> None:
    rewritten = variant("rewritten", *REWRITTEN)
    int8 = {b: variant(f"int8{b}", *FIX, Int8Static(), backends=(b,)) for b in "ab"}
    int8["b"] = int8["b"].model_copy(update={"recipes": (*FIX, Int8Static(toolkit="nncf"))})
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.9, against=first, round_=1),
        *(trial(n, v, b, decision="rejected", ratio=r, against=first)
          for n, (v, b, r) in enumerate(
              ((FIXED, "a", 1.0), (rewritten, "a", 0.5), (FIXED, "b", 1.0), (rewritten, "b", 1.0)),
              start=2)),
        trial(6, int8["b"], "b", decision="rejected", ratio=speed, against=first),
        trial(7, int8["a"], "a", decision="accepted", ratio=2.0, against=first),
    ]  # fmt: skip
    variants = (FIXED, rewritten, *int8.values())
    adapted = Adapted(
        variants=(ORIGINAL, *variants),
        chains=tuple(v.recipes for v in variants),
        made=tuple(v.id for v in variants),
    )
    apart = [(v.recipes, b) for b, v in int8.items()]
    step = propose(tuned(knowledge(adapted, trials, rewrites=(FIX, REWRITTEN), apart=apart)))
    crossed = Make(chain=(*REWRITTEN, Int8Static(toolkit="nncf")))
    assert (step == crossed) == expected
    assert expected or step is None


def test_what_was_put_together_anew_runs_with_the_settings_of_the_best() -> None:
    made = variant("crossed", *REWRITTEN, Int8Static())
    step = crossed(other=0.9, made=(made,))
    assert isinstance(step, Together)
    (only,) = step.tries
    assert (only.variant, only.candidate.backend, only.candidate.settings) == (made, "a", ONE)


@pytest.mark.parametrize(
    ("speed", "raced", "expected"), [(1.45, False, True), (1.2, False, False), (1.45, True, False)]
)
def test_what_left_its_cohort_close_to_the_best_is_raced_in_the_end(
    *, speed: float, raced: bool, expected: bool
) -> None:
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.5, against=first, round_=1)
    won = trial(2, FIXED, "a", decision="accepted", ratio=1.5, against=first)
    left = trial(3, INT8, "b", decision="rejected", ratio=speed, against=first)
    trials = [first, other, won, left.model_copy(update={"eliminated": True})]
    if raced:
        again = trial(4, INT8, "b", decision="rejected", ratio=0.9, against=won, round_=RUNOFF)
        trials.append(again)
    adapted = Adapted(variants=(ORIGINAL, FIXED, INT8))
    step = propose(tuned(knowledge(adapted, trials, apart=[(INT8.recipes, "b")])))
    assert (isinstance(step, Together) and shown(step) == "int8/b") == expected
    assert expected or step is None


@pytest.mark.parametrize(("speed", "expected"), [(1.8, True), (1.1, False)])
def test_what_looks_far_faster_is_raced_again_before_settings(
    *, speed: float, expected: bool
) -> None:
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.5, against=first, round_=1)
    left = trial(2, INT8, "b", decision="rejected", ratio=speed, against=first)
    trials = [first, other, left.model_copy(update={"eliminated": True})]
    step = propose(knowledge(Adapted(variants=(ORIGINAL, INT8)), trials))
    assert isinstance(step, Together if expected else Explore)
    assert not expected or shown(step) == "int8/b"
