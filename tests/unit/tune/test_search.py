"""Proposals come from the records alone: the order of a whole search."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Adapted,
    Bf16,
    Buckets,
    FixShapes,
    Fp16Weights,
    Int8Dynamic,
    Int8Static,
    Recipe,
    Skipped,
    Trim,
    batch_of,
)
from fitwright.records.trial import Trial
from fitwright.tune.gains import baseline_of
from fitwright.tune.proposal import Explore, Make, TakeApart, Together, Try, is_lean
from fitwright.tune.propose import propose
from fitwright.tune.standing import Standing, incumbent_of, speeds
from proposals import (
    FIX,
    FIXED,
    ORIGINAL,
    REWRITTEN,
    body,
    comparison,
    knowledge,
    shown,
    trial,
    variant,
)


def ended(trials: list[Trial], step: Try, ratios: dict[str, float]) -> Trial:
    """The first is accepted, every other one rejected at its ratio to the first."""
    first = trials[0] if trials else None
    return trial(
        len(trials), step.variant, step.candidate.backend, round_=step.round,
        decision="rejected" if first else "accepted", settings=step.candidate.settings,
        ratio=ratios.get(shown(step), 1.0) if first else None, against=first,
    )  # fmt: skip


def simulated(
    *,
    rewrites: tuple[Chain, ...],
    bodies: tuple[Body, ...],
    ratios: dict[str, float],
    batches: tuple[int, ...] = (),
    shorter: tuple[Recipe, ...] = (),
) -> list[str]:
    """What the search does when a candidate is `ratios[variant/backend]` times as fast as the
    first one (1 when it is not named), every chain gives a new file and settings give nothing."""
    adapted, trials, seen, spent = Adapted(variants=(ORIGINAL,)), [], [], set()
    apart: list[tuple[Chain, str]] = []
    given = {"rewrites": rewrites, "bodies": bodies, "batches": batches, "shorter": shorter}
    while step := propose(knowledge(adapted, trials, spent=spent, apart=apart, **given)):
        seen.append(shown(step))
        if isinstance(step, TakeApart):
            apart.append((step.chain, step.backend))
        elif isinstance(step, Explore):
            spent.add(step.pairs)
        elif isinstance(step, Together):
            trials.extend(ended(trials, one, ratios) for one in step.tries)
        elif isinstance(step, Make):
            made = variant("+".join(r.kind for r in step.chain), *step.chain)
            if (batch := batch_of(step.chain)) > 1:
                renamed = {"id": f"{batch}*{made.id}", "settings": Settings(batch=batch)}
                made = made.model_copy(update=renamed)
            adapted = Adapted(
                variants=(*adapted.variants, made),
                chains=(*adapted.chains, step.chain),
                made=(*adapted.made, made.id),
            )
        else:
            trials.append(ended(trials, step, ratios))
    return seen


def test_the_search_rewrites_then_changes_the_arithmetic_then_tunes_settings() -> None:
    seen = simulated(rewrites=(FIX,), bodies=(body(Int8Static()),), ratios={})
    assert seen == [
        "orig/a", "orig/b",
        "make fix_shapes", "fix_shapes/a", "fix_shapes/b",
        "make fix_shapes + int8_static/onnxruntime",
        "fix_shapes+int8_static/a | fix_shapes+int8_static/b",
        "explore",
        "look inside fix_shapes+int8_static/a", "look inside fix_shapes+int8_static/b",
    ]  # fmt: skip


def test_bodies_run_against_each_other_as_soon_as_a_cohort_is_made() -> None:
    bodies = (body(Int8Static()), body(Fp16Weights()), body(Bf16(), on="a"))
    seen = simulated(rewrites=(), bodies=bodies, ratios={})
    assert seen[2:7] == [
        "make int8_static/onnxruntime", "make fp16_weights",
        "int8_static/a | int8_static/b | fp16_weights/a | fp16_weights/b",
        "make bf16", "bf16/a",
    ]  # fmt: skip


def test_bodies_are_put_on_the_best_rewriting_of_each_backend() -> None:
    seen = simulated(
        rewrites=(FIX, REWRITTEN),
        bodies=(body(Int8Static()),),
        ratios={"fix_shapes+fp16_weights/a": 1.2, "fix_shapes+fp16_weights/b": 0.7},
    )
    made = [step for step in seen if step.startswith("make") and "int8" in step]
    assert made == [
        "make fix_shapes + fp16_weights + int8_static/onnxruntime",
        "make fix_shapes + int8_static/onnxruntime",
    ]


def test_of_rewritings_that_are_as_fast_the_longest_is_gone_on_with() -> None:
    seen = simulated(
        rewrites=(FIX, REWRITTEN),
        bodies=(body(Int8Static(), on="a"),),
        ratios={"fix_shapes+fp16_weights/a": 0.99},
    )
    assert "make fix_shapes + fp16_weights + int8_static/onnxruntime" in seen


def test_of_equally_long_rewritings_that_are_as_fast_the_later_is_gone_on_with() -> None:
    later: Chain = (FixShapes(), Bf16())
    seen = simulated(
        rewrites=(FIX, REWRITTEN, later),
        bodies=(body(Int8Static(), on="a"),),
        ratios={"fix_shapes+bf16/a": 0.99},
    )
    assert "make fix_shapes + bf16 + int8_static/onnxruntime" in seen


def test_several_queries_in_a_run_are_tried_on_the_best_rewriting_of_each_backend() -> None:
    seen = simulated(
        rewrites=(FIX, REWRITTEN),
        bodies=(body(Bf16()),),
        ratios={"fix_shapes/a": 1.3, "fix_shapes+fp16_weights/b": 1.3, "4*fix_shapes/a": 2.0},
        batches=(4, 16),
    )
    begin = seen.index("make fix_shapes/batch 4")
    assert seen[begin:] == [
        "make fix_shapes/batch 4", "make fix_shapes/batch 16",
        "4*fix_shapes/a | 16*fix_shapes/a",
        "make fix_shapes/batch 4 + fp16_weights", "make fix_shapes/batch 16 + fp16_weights",
        "4*fix_shapes+fp16_weights/b | 16*fix_shapes+fp16_weights/b",
        "make fix_shapes/batch 4 + bf16", "make fix_shapes + fp16_weights + bf16",
        "4*fix_shapes+bf16/a | fix_shapes+fp16_weights+bf16/b",
        "explore",
    ]  # fmt: skip


LENGTHS = Buckets(mask="mask", symbol="tokens", lengths=(16, 128))


def test_padded_queries_get_several_lengths_on_the_best_rewriting_and_bodies_go_before() -> None:
    seen = simulated(
        rewrites=(FIX, REWRITTEN),
        bodies=(body(Int8Dynamic(), on="a"), body(Int8Static(toolkit="nncf"), on="a")),
        ratios={
            "fix_shapes+fp16_weights/a": 1.2,
            "fix_shapes+fp16_weights+buckets/a": 3.0,
            "fix_shapes+fp16_weights/b": 0.5,
            "fix_shapes/b": 0.5,
            "orig/b": 0.5,
        },
        shorter=(LENGTHS,),
    )
    begin = seen.index("make fix_shapes + fp16_weights + buckets/16/128")
    assert seen[begin : begin + 5] == [
        "make fix_shapes + fp16_weights + buckets/16/128",
        "fix_shapes+fp16_weights+buckets/a",
        "make fix_shapes + fp16_weights + int8_dynamic + buckets/16/128",
        "make fix_shapes + fp16_weights + int8_static/nncf",  # OpenVINO's format is not joined
        "fix_shapes+fp16_weights+int8_dynamic+buckets/a | fix_shapes+fp16_weights+int8_static/a",
    ]
    assert not any("buckets/b" in step for step in seen), "a backend far behind is left out"


def test_queries_are_cut_on_every_backend_and_bodies_follow_the_cut() -> None:
    trim = Trim(mask="mask", symbol="tokens", lengths=(32, 64, 128))
    seen = simulated(
        rewrites=(FIX,),
        bodies=(body(Int8Dynamic(), on="a"),),
        ratios={"fix_shapes+trim/a": 3.5, "fix_shapes+buckets/b": 2.0, "fix_shapes/a": 0.4},
        shorter=(LENGTHS, trim),
    )
    assert "fix_shapes+trim/a" in seen, "though that backend is far behind without"
    assert "fix_shapes+buckets/b | fix_shapes+trim/b" in seen
    assert "make fix_shapes + trim + int8_dynamic" in seen
    assert not any("trim" in step and "buckets" in step for step in seen if "|" not in step)


def test_lengths_that_do_not_pay_are_not_gone_on_with() -> None:
    seen = simulated(
        rewrites=(FIX,),
        bodies=(body(Int8Dynamic(), on="a"),),
        ratios={"fix_shapes+buckets/a": 0.8, "fix_shapes+buckets/b": 0.8},
        shorter=(LENGTHS,),
    )
    assert "make fix_shapes + int8_dynamic" in seen
    assert "make fix_shapes + int8_dynamic + buckets/16/128" not in seen


def test_without_padded_queries_no_lengths_are_told_apart() -> None:
    seen = simulated(rewrites=(FIX,), bodies=(body(Bf16()),), ratios={})
    assert not any("buckets" in step for step in seen)


def test_where_trials_are_dear_bodies_go_on_the_best_backend_and_the_longest_rewriting() -> None:
    longer: Chain = (*REWRITTEN, Bf16())
    lean = replace(
        knowledge(Adapted(variants=(ORIGINAL,)), [], rewrites=(FIX, REWRITTEN, longer)), lean=True
    )
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.6, against=first, round_=1)
    known = replace(lean, standing=Standing([first, other]))
    assert propose(known) == Make(chain=longer)
    made = variant("longer", *longer)
    adapted = Adapted(variants=(ORIGINAL, made), chains=(longer,), made=("longer",))
    both = [
        trial(2, made, "a", decision="rejected", ratio=1.0, against=first),
        trial(3, made, "b", decision="rejected", ratio=0.6, against=first),
    ]
    agenda = Agenda(rewrites=(FIX, REWRITTEN, longer), bodies=(body(Int8Static()),))
    known = replace(known, adapted=adapted, standing=Standing([first, other, *both]), agenda=agenda)
    assert propose(known) == Make(chain=(*longer, Int8Static()))
    int8 = variant("int8", *longer, Int8Static())
    adapted = adapted.model_copy(
        update={
            "variants": (*adapted.variants, int8),
            "chains": (*adapted.chains, int8.recipes),
            "made": (*adapted.made, "int8"),
        }
    )
    step = propose(replace(known, adapted=adapted))
    assert step is not None and shown(step) == "int8/a"


@pytest.mark.parametrize(("speed", "expected"), [(0.97, True), (0.8, False)])
def test_where_trials_are_dear_the_first_body_meets_every_form_that_is_about_as_fast(
    *, speed: float, expected: bool
) -> None:
    forms: tuple[Chain, ...] = ((*FIX, Fp16Weights()), (*FIX, Bf16()))
    one, other = variant("one", *forms[0]), variant("other", *forms[1])
    int8 = variant("int8", *forms[0], Int8Static())
    made = (one, other, int8)
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.3, against=first, round_=1),
        *(trial(n, v, b, decision="rejected", ratio=r * scale, against=first)
          for n, (v, r) in enumerate(((one, 1.0), (other, speed)), start=2)
          for b, scale in (("a", 1.0), ("b", 0.3))),
        trial(4, int8, "a", decision="rejected", ratio=0.9, against=first),
    ]  # fmt: skip
    adapted = Adapted(
        variants=(ORIGINAL, *made),
        chains=tuple(v.recipes for v in made),
        made=tuple(v.id for v in made),
    )
    bodies = (body(Fp16Weights()), body(Int8Static()), body(Int8Dynamic()))
    unmade = tuple((*form, Fp16Weights()) for form in forms)  # skipped: the next one is the first
    adapted = adapted.model_copy(
        update={
            "chains": (*unmade, *adapted.chains),
            "made": ("", "", *adapted.made),
            "skipped": tuple(Skipped(recipes=chain, reason="x") for chain in unmade),
        }
    )
    known = replace(knowledge(adapted, trials, rewrites=forms, bodies=bodies), lean=True)
    second = (*forms[1], Int8Static()) if expected else (*forms[0], Int8Dynamic())
    assert propose(known) == Make(chain=second)


def test_trials_are_dear_by_what_the_baselines_took() -> None:
    baselines = [
        trial(i, ORIGINAL, b, decision="accepted", round_=1).model_copy(update={"seconds": 4.0})
        for i, b in enumerate("ab")
    ]
    assert is_lean(baselines, budget_s=100.0)
    assert not is_lean(baselines, budget_s=200.0)
    assert not is_lean([], budget_s=1.0)
    seen = comparison(1.0, "x", outcome="undecided").model_copy(update={"num_heats": 4})
    raced = [t.model_copy(update={"comparison": seen}) for t in baselines]
    assert not is_lean(raced, budget_s=100.0), "noise made the races long, not the trials"


def test_a_skipped_chain_is_not_made_again() -> None:
    adapted = Adapted(
        variants=(ORIGINAL,),
        skipped=(Skipped(recipes=FIX, reason="x"),),
        chains=(FIX,),
        made=("",),
    )
    tried = [trial(i, ORIGINAL, b, decision="failed", round_=1) for i, b in enumerate("ab")]
    assert propose(knowledge(adapted, tried, rewrites=(FIX,))) is None


def test_speeds_chain_through_the_incumbents() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, ORIGINAL, "b", decision="accepted", ratio=2.0, against=a, round_=1)
    c = trial(2, FIXED, "b", decision="rejected", ratio=0.5, against=b)
    assert list(speeds([a, b, c]).values()) == [1.0, 2.0, 1.0]
    assert incumbent_of([a, b, c]) == b
    assert baseline_of([a, b, c]) == b
