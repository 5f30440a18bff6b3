"""Which pairs have their settings tuned, in which order, and what comes before."""

from __future__ import annotations

from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Bf16, FixShapes, Fp16Weights, FuseAttention
from fitwright.tune.explore import PATIENCE, pairs_worth_tuning
from fitwright.tune.proposal import SETTINGS, Explore, Together
from fitwright.tune.propose import propose
from fitwright.tune.standing import Standing
from proposals import FIXED, INT8, ORIGINAL, body, knowledge, shown, trial, variant

LATE = (body(Fp16Weights(), late=True),)


def after_the_baselines(*, storage_first: bool) -> str:
    """What comes once the originals were tried: tuning them, or a chain that saves storage."""
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    known = knowledge(
        Adapted(variants=(ORIGINAL,)), [first, other], bodies=LATE, storage_first=storage_first
    )
    step = propose(known)
    assert step is not None
    return shown(step)


def test_settings_are_tuned_before_chains_that_only_save_storage() -> None:
    assert after_the_baselines(storage_first=False) == "explore"


def test_a_broken_limit_on_storage_makes_those_chains_urgent() -> None:
    assert after_the_baselines(storage_first=True) == "make fp16_weights"


def test_settings_are_left_when_the_last_of_them_gave_nothing() -> None:
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    tried = [
        trial(i, ORIGINAL, "a", decision="rejected", ratio=0.9, against=first, round_=SETTINGS,
              settings=Settings(threads=i))
        for i in range(1, PATIENCE + 1)
    ]  # fmt: skip
    baselines = [first, trial(99, ORIGINAL, "b", decision="failed", round_=1)]
    original = Adapted(variants=(ORIGINAL,))
    assert propose(knowledge(original, baselines + tried)) is None
    assert isinstance(propose(knowledge(original, baselines + tried[1:])), Explore)


def test_the_settings_of_what_won_come_before_those_of_what_only_looked_faster() -> None:
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    won = trial(1, FIXED, "a", decision="accepted", ratio=1.4, against=first)
    left = trial(2, INT8, "b", decision="rejected", ratio=1.5, against=first)
    standing, variants = Standing([first, won, left]), (ORIGINAL, FIXED, INT8)
    assert pairs_worth_tuning(standing, variants) == (("fixed", "a"), ("int8", "b"))


def test_of_the_rewritings_of_one_body_one_is_tuned() -> None:
    rewritten = variant("rewritten", FixShapes(), FuseAttention())
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    others = [
        trial(n, v, b, decision="rejected", ratio=r, against=first)
        for n, (v, b, r) in enumerate(
            [(FIXED, "a", 1.1), (rewritten, "b", 0.95), (INT8, "a", 0.9)], start=1
        )
    ]
    pairs = pairs_worth_tuning(Standing([first, *others]), (ORIGINAL, FIXED, rewritten, INT8))
    assert pairs == (("orig", "a"), ("rewritten", "b"), ("int8", "a"))


def test_a_variants_required_settings_win_over_the_plans() -> None:
    hinted = variant("hint", Bf16()).model_copy(update={"settings": Settings(precision="bfloat16")})
    adapted = Adapted(variants=(ORIGINAL, hinted), chains=((Bf16(),),), made=("hint",))
    tried = [trial(i, ORIGINAL, b, decision="accepted", round_=1) for i, b in enumerate("ab")]
    step = propose(knowledge(adapted, tried, bodies=(body(Bf16()),)))
    assert isinstance(step, Together)
    assert [t.candidate.settings.precision for t in step.tries] == ["bfloat16", "bfloat16"]
