"""One query in several parts: when that is proposed, and what goes on from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, Bf16, FixShapes, Simplify, Variant
from fitwright.records.trial import Trial
from fitwright.tune.proposal import Knowledge, Make, Together
from fitwright.tune.propose import propose
from proposals import FIX, FIXED, ORIGINAL, body, knowledge, trial, tuned, variant

SIMPLE = variant("s", FixShapes(), Simplify())
CUT = variant("c", FixShapes(parts=2), Simplify()).model_copy(
    update={"settings": Settings(parts=2)}
)


def measured(*, cut: float | None = None) -> Knowledge:
    """The rewriting is the best on a, and b is far behind; cut in two it came to `cut`."""
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.4, against=first, round_=1),
        trial(2, FIXED, "a", decision="rejected", ratio=1.0, against=first, round_=2),
        trial(3, FIXED, "b", decision="rejected", ratio=0.4, against=first, round_=2),
        trial(4, SIMPLE, "a", decision="accepted", ratio=1.1, against=first, round_=2),
        trial(5, SIMPLE, "b", decision="rejected", ratio=0.4, against=first, round_=2),
    ]
    variants = [FIXED, SIMPLE]
    if cut is not None:
        variants.append(CUT)
        trials += [
            trial(6, CUT, "a", decision="accepted" if cut > 1.1 else "rejected", ratio=cut,
                  against=first, settings=CUT.settings),
            trial(7, CUT, "b", decision="rejected", ratio=0.4, against=first,
                  settings=CUT.settings),
        ]  # fmt: skip
    adapted = Adapted(
        variants=(ORIGINAL, *variants),
        chains=tuple(v.recipes for v in variants),
        made=tuple(v.id for v in variants),
    )
    bodies = (body(Bf16(), on="a"),)
    return knowledge(adapted, trials, rewrites=(FIX, SIMPLE.recipes), bodies=bodies, parts=(2,))


def test_the_best_rewriting_is_cut_as_the_plan_says() -> None:
    assert propose(measured()) == Make(chain=CUT.recipes)


@pytest.mark.parametrize(("latency_s", "is_cut"), [(0.002, True), (0.02, False)])
def test_where_trials_are_dear_only_short_runs_are_cut(latency_s: float, is_cut: bool) -> None:
    known = replace(measured(), lean=True)
    figures = {"latency_p50": Figure.measured(latency_s, unit="s")}
    trials = [t.model_copy(update={"figures": figures}) for t in known.standing.trials]
    step = propose(replace(known, standing=type(known.standing)(trials)))
    assert step == Make(chain=CUT.recipes if is_cut else (*SIMPLE.recipes, Bf16()))


def test_bodies_go_on_the_parts_where_these_are_faster_and_on_the_whole_where_not() -> None:
    assert propose(measured(cut=1.3)) == Make(chain=(*CUT.recipes, Bf16()))
    assert propose(measured(cut=1.0)) == Make(chain=(*SIMPLE.recipes, Bf16()))


def nothing_to_fix(*, cut: float, bodies: bool = True) -> Knowledge:
    """Fixed shapes change nothing in the model, so whole queries are the original's."""
    part = variant("c", FixShapes(parts=2)).model_copy(update={"settings": Settings(parts=2)})
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.4, against=first, round_=1),
        trial(2, part, "a", decision="accepted" if cut > 1.1 else "rejected", ratio=cut,
              against=first, settings=part.settings),
        trial(3, part, "b", decision="rejected", ratio=0.4, against=first,
              settings=part.settings),
    ]  # fmt: skip
    adapted = Adapted(
        variants=(ORIGINAL, part), chains=((FixShapes(),), part.recipes), made=("", part.id)
    )
    wanted = (body(Bf16(), on="a"),) if bodies else ()
    return knowledge(adapted, trials, rewrites=(FIX,), bodies=wanted, parts=(2,))


def after(known: Knowledge, made: Variant, won: Trial) -> Knowledge:
    """One more variant was made, and tried; settings are tuned."""
    adapted = known.adapted.model_copy(
        update={
            "variants": (*known.adapted.variants, made),
            "chains": (*known.adapted.chains, made.recipes),
            "made": (*known.adapted.made, made.id),
        }
    )
    standing = type(known.standing)([*known.standing.trials, won])
    return tuned(replace(known, adapted=adapted, standing=standing))


def test_parts_that_tie_with_the_original_are_not_built_on() -> None:
    assert propose(nothing_to_fix(cut=1.0)) == Make(chain=(FixShapes(), Bf16()))
    assert propose(nothing_to_fix(cut=1.3)) == Make(chain=(FixShapes(parts=2), Bf16()))


@pytest.mark.parametrize(("cut", "parts"), [(0.57, 1), (1.02, 1), (1.3, 2)])
def test_where_only_the_longest_rewriting_was_asked_for_the_original_stands_for_the_whole(
    cut: float, parts: int
) -> None:
    known = nothing_to_fix(cut=cut)
    asked = known.adapted.model_copy(update={"chains": (SIMPLE.recipes, known.adapted.chains[1])})
    agenda = known.agenda.model_copy(update={"rewrites": (FIX, SIMPLE.recipes)})
    step = propose(replace(known, adapted=asked, agenda=agenda, lean=True))
    assert step == Make(chain=(FixShapes(parts=parts), Bf16()))


def test_a_body_that_won_on_parts_is_tried_on_the_whole_as_well() -> None:
    known = tuned(nothing_to_fix(cut=1.12, bodies=False))
    body_ = variant("i", FixShapes(parts=2), Bf16()).model_copy(
        update={"settings": Settings(parts=2)}
    )
    won = trial(4, body_, "a", decision="accepted", ratio=1.5, settings=body_.settings,
                against=known.standing.trials[2])  # fmt: skip
    step = propose(after(known, body_, won))
    assert step == Make(chain=(FixShapes(), Bf16()))


@pytest.mark.parametrize(("cut", "is_tried"), [(1.02, False), (1.12, True)])
def test_a_body_that_won_on_the_whole_is_tried_on_parts_that_were_clearly_ahead(
    cut: float, is_tried: bool
) -> None:
    known = tuned(nothing_to_fix(cut=cut, bodies=False))
    whole = variant("i", FixShapes(), Bf16())
    won = trial(4, whole, "a", decision="accepted", ratio=1.5,
                against=known.standing.trials[0])  # fmt: skip
    step = propose(after(known, whole, won))
    assert (step == Make(chain=(FixShapes(parts=2), Bf16()))) is is_tried


def test_parts_share_the_threads_among_themselves() -> None:
    one = Settings(threads=1, precision="float32")
    assert one.on(Settings(parts=2)) == Settings(precision="float32", parts=2)
    assert one.merged(Settings(parts=2)).on(Settings()) == one


def test_what_is_cut_runs_at_once_on_its_own_settings() -> None:
    known = measured(cut=1.3)
    unmade = replace(known, standing=type(known.standing)(known.standing.trials[:6]))
    step = propose(unmade)
    assert isinstance(step, Together)
    assert {t.candidate.settings for t in step.tries} == {Settings(parts=2)}
