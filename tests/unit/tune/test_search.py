"""Proposals come from the records alone; a candidate is kept only for a proven reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.figure import Figure
from fitwright.records.plan import BackendPlan, MemoryPlan, Parallelism, Plan, Settings
from fitwright.records.recipe import (
    Adapted,
    Bf16,
    Buckets,
    FixShapes,
    Fp16Weights,
    FuseAttention,
    Int8Dynamic,
    Int8Static,
    Recipe,
    Skipped,
    Trim,
    Variant,
    batch_of,
    title,
)
from fitwright.records.trial import Candidate, Comparison, Failure, Trial
from fitwright.tune.decide import decide
from fitwright.tune.explore import PATIENCE, pairs_worth_tuning
from fitwright.tune.gains import baseline_of, ledger_entries
from fitwright.tune.proposal import (
    RUNOFF,
    SETTINGS,
    Explore,
    Knowledge,
    Make,
    Step,
    TakeApart,
    Together,
    Try,
    is_lean,
)
from fitwright.tune.propose import propose
from fitwright.tune.standing import Pair, Standing, incumbent_of, speeds
from needs import SIZE, need

ONE = Settings(threads=1)
FIX: Chain = (FixShapes(),)
REWRITTEN: Chain = (FixShapes(), Fp16Weights())  # any recipe can stand for a rewriting here


def variant(id_: str, *recipes: Recipe, backends: tuple[str, ...] = ("a", "b")) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=10, backends=backends,
    )  # fmt: skip


def plan(*settings: Settings, batches: tuple[int, ...] = ()) -> Plan:
    return Plan(
        device_id="local",
        placements=(),
        memory=MemoryPlan(
            arena_bytes=0, lower_bound_bytes=0, method="none", alignment_bytes=64, buffers=()
        ),
        parallelism=Parallelism(),
        backends=tuple(BackendPlan(backend=b, settings=(Settings(), *settings)) for b in "ab"),
        batches=batches,
    )


def comparison(ratio: float, incumbent: str, *, outcome: str = "faster") -> Comparison:
    return Comparison(
        incumbent=incumbent,
        ratio=ratio,
        low=ratio * 0.98,
        high=ratio * 1.02,
        num_rounds=20,
        outcome=outcome,
    )


def trial(
    number: int,
    v: Variant,
    backend: str,
    *,
    decision: str,
    ratio: float | None = None,
    against: Trial | None = None,
    round_: int = 2,
    settings: Settings | None = None,
) -> Trial:
    settings = settings or Settings()
    candidate = Candidate(variant_id=v.id, title=v.title, backend=backend, settings=settings)
    return Trial(
        number=number, round=round_, candidate=candidate, decision=decision, reason="",
        comparison=comparison(ratio, against.candidate.key) if ratio and against else None,
    )  # fmt: skip


ORIGINAL = variant("orig")
FIXED = variant("fixed", FixShapes())
INT8 = variant("int8", FixShapes(), Int8Static(), backends=("b",))


def knowledge(
    adapted: Adapted,
    trials: Iterable[Trial],
    *,
    rewrites: tuple[Chain, ...] = (),
    bodies: tuple[Body, ...] = (),
    storage_first: bool = False,
    spent: Iterable[tuple[Pair, ...]] = (),
    apart: Iterable[tuple[Chain, str]] = (),
    mixed: tuple[Chain, ...] = (),
    batches: tuple[int, ...] = (),
    shorter: tuple[Recipe, ...] = (),
) -> Knowledge:
    return Knowledge(
        plan=plan(ONE, batches=batches),
        agenda=Agenda(rewrites=rewrites, bodies=bodies, shorter=shorter),
        adapted=adapted,
        standing=Standing(trials),
        storage_first=storage_first,
        spent=frozenset(spent),
        taken_apart=frozenset(apart),
        mixed=mixed,
    )


def body(*recipes: Recipe, on: str = "ab", late: bool = False) -> Body:
    return Body(recipes=recipes, backends=frozenset(on), seldom_faster=late)


def shown(step: Step) -> str:
    if isinstance(step, Make):
        return "make " + " + ".join(title(r) for r in step.chain)
    if isinstance(step, Explore):
        return "explore"
    if isinstance(step, TakeApart):
        return f"look inside {step.variant.id}/{step.backend}"
    if isinstance(step, Together):
        return " | ".join(shown(one) for one in step.tries)
    return f"{step.candidate.variant_id}/{step.candidate.backend}"


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


def test_an_int8_model_is_tried_with_each_arithmetic_for_the_rest() -> None:
    int8 = variant("int8", FixShapes(), Int8Static())
    adapted = Adapted(variants=(ORIGINAL, int8), chains=((*FIX, Int8Static()),), made=("int8",))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.6, against=first, round_=1)
    known = knowledge(adapted, [first, other], bodies=(body(*FIX, Int8Static(), on="b"),))
    wide = plan(ONE, Settings(precision="float32"), Settings(precision="float32", threads=1))
    step = propose(replace(known, plan=wide))
    assert isinstance(step, Together)
    assert [t.candidate.settings for t in step.tries] == [
        Settings(), Settings(precision="float32")
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


def test_trials_are_dear_by_what_the_baselines_took() -> None:
    baselines = [
        trial(i, ORIGINAL, b, decision="accepted", round_=1).model_copy(update={"seconds": 4.0})
        for i, b in enumerate("ab")
    ]
    assert is_lean(baselines, budget_s=100.0)
    assert not is_lean(baselines, budget_s=200.0)
    assert not is_lean([], budget_s=1.0)


def batched(*, accepted: bool, other: float = 0.0) -> Knowledge:
    """Runs of 4 queries were twice as fast as one by one; those of 16 came to `other`."""
    fixed = [variant(f"{n}", FixShapes(batch=n)) for n in (4, 16)]
    fixed = [v.model_copy(update={"settings": Settings(batch=int(v.id))}) for v in fixed]
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [
        first,
        trial(1, ORIGINAL, "b", decision="rejected", ratio=0.4, against=first, round_=1),
        *(trial(n, FIXED, b, decision="rejected", ratio=r, against=first)
          for n, (b, r) in enumerate((("a", 1.0), ("b", 0.4)), start=2)),
        trial(4, fixed[0], "a", decision="accepted" if accepted else "rejected", ratio=2.0,
              against=first, settings=Settings(batch=4)),
        *(trial(n, v, "b", decision="rejected", ratio=0.4, against=first, settings=v.settings)
          for n, v in enumerate(fixed, start=5)),
        trial(7, fixed[1], "a", decision="rejected", ratio=other or 1.5, against=first,
              settings=Settings(batch=16)),
    ]  # fmt: skip
    variants = (FIXED, *fixed)
    adapted = Adapted(
        variants=(ORIGINAL, *variants),
        chains=tuple(v.recipes for v in variants),
        made=tuple(v.id for v in variants),
    )
    return knowledge(
        adapted, trials, rewrites=(FIX,), bodies=(body(Bf16(), on="a"),), batches=(4, 16)
    )


def test_bodies_are_not_put_on_what_was_faster_and_broke_a_limit() -> None:
    assert propose(batched(accepted=True)) == Make(chain=(FixShapes(batch=4), Bf16()))
    broken = batched(accepted=False, other=0.9)
    key = broken.standing.trials[4].candidate.key
    step = propose(replace(broken, barred=frozenset({key})))
    assert step == Make(chain=(FixShapes(), Bf16()))


def test_twice_and_half_as_many_queries_are_tried_where_the_best_takes_several() -> None:
    known = batched(accepted=True)
    known = tuned(replace(known, agenda=Agenda(rewrites=(FIX,))))
    step = propose(known)
    assert step == Make(chain=(FixShapes(batch=8),))
    made = variant("8", FixShapes(batch=8)).model_copy(update={"settings": Settings(batch=8)})
    adapted = known.adapted.model_copy(
        update={
            "variants": (*known.adapted.variants, made),
            "chains": (*known.adapted.chains, made.recipes),
            "made": (*known.adapted.made, made.id),
        }
    )
    assert propose(replace(known, adapted=adapted)) == Make(chain=(FixShapes(batch=2),))


def test_settings_for_another_variant_keep_its_own_number_of_queries() -> None:
    found = Settings(threads=1, batch=16)
    assert found.on(Settings()) == ONE
    assert found.on(Settings(batch=4)) == Settings(threads=1, batch=4)


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


def tuned(known: Knowledge) -> Knowledge:
    """The same with the settings of its fastest pairs all tried."""
    pairs = pairs_worth_tuning(known.standing, known.adapted.variants)
    return replace(known, spent=frozenset({pairs}))


def int8_search(
    *, speed: float | None, backend: str = "a", apart: Iterable[tuple[Chain, str]] = ()
) -> Step | None:
    """What comes once settings are tuned, when an int8 variant on `backend` came to this speed
    of the best, or (None) disagreed with the original."""
    int8 = variant("int8", FixShapes(), Int8Static(), backends=(backend,))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.9, against=first, round_=1)
    measured = trial(2, int8, backend, decision="rejected", ratio=speed, against=first)
    if speed is None:
        failure = Failure(cause="disagrees", detail="relative L2 0.3")
        measured = measured.model_copy(
            update={"failure": failure, "decision": "failed", "comparison": None}
        )
    adapted = Adapted(
        variants=(ORIGINAL, int8), chains=((FixShapes(), Int8Static()),), made=("int8",)
    )
    return propose(tuned(knowledge(adapted, [first, other, measured], apart=apart)))


def test_an_int8_variant_near_the_best_is_taken_apart_once() -> None:
    chain = (FixShapes(), Int8Static())
    assert isinstance(int8_search(speed=0.9), TakeApart)
    assert int8_search(speed=0.9, apart=[(chain, "a")]) is None
    assert int8_search(speed=0.3) is None, "no mix of it makes up for that"


def test_an_int8_variant_too_far_from_the_original_is_taken_apart_on_the_best_backend() -> None:
    assert isinstance(int8_search(speed=None), TakeApart)
    assert int8_search(speed=None, backend="b") is None


def left_out(*distances: float, won: bool = False) -> Knowledge:
    """What is known when int8 variants were so far from the original, and one perhaps won."""
    int8 = [
        variant(str(i), FixShapes(), Int8Static(symmetric=bool(i)), backends=("a",))
        for i in range(len(distances))
    ]
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [first, trial(1, ORIGINAL, "b", decision="rejected", ratio=0.9, against=first)]
    for number, (v, distance) in enumerate(zip(int8, distances, strict=True), start=2):
        failure = Failure(cause="disagrees", detail="", distance=distance)
        failed = trial(number, v, "a", decision="failed")
        trials.append(failed.model_copy(update={"failure": failure}))
    if won:
        winner = variant("won", FixShapes(), Int8Dynamic(), backends=("a",))
        int8.append(winner)
        trials.append(trial(9, winner, "a", decision="accepted", ratio=1.5, against=first))
    adapted = Adapted(
        variants=(ORIGINAL, *int8),
        chains=tuple(v.recipes for v in int8),
        made=tuple(v.id for v in int8),
    )
    return knowledge(adapted, trials)


def test_what_int8_lacks_in_accuracy_comes_before_settings_where_nothing_in_int8_won() -> None:
    assert isinstance(propose(left_out(0.06)), TakeApart)
    assert isinstance(propose(left_out(0.06, won=True)), Explore)


def test_of_what_is_too_far_from_the_original_the_nearest_is_taken_apart_first() -> None:
    step = propose(left_out(0.21, 0.06))
    assert isinstance(step, TakeApart)
    assert step.variant.id == "1"


def test_what_follows_from_taking_apart_is_made_after_settings_are_tuned() -> None:
    mix = (FixShapes(), Int8Static(keep=("x",)))
    tried = [trial(i, ORIGINAL, b, decision="accepted", round_=1) for i, b in enumerate("ab")]
    known = knowledge(Adapted(variants=(ORIGINAL,)), tried, mixed=(mix,))
    assert isinstance(propose(known), Explore)
    assert propose(tuned(known)) == Make(chain=mix)


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


@pytest.mark.parametrize(
    ("coarse", "expected"),
    [
        ((), "explore"),
        (("nncf",), "explore"),
        (("onnxruntime",), "make int8_static/onnxruntime/percentile"),
    ],
)
def test_finer_int8_ranges_wait_until_the_usual_ones_are_too_coarse(
    coarse: tuple[str, ...], expected: str
) -> None:
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    finer = body(Int8Static(method="percentile")).model_copy(update={"finer_ranges": True})
    known = knowledge(Adapted(variants=(ORIGINAL,)), [first, other], bodies=(finer,))
    step = propose(replace(known, coarse=frozenset(coarse)))
    assert step is not None and shown(step) == expected


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


def test_a_skipped_chain_is_not_made_again() -> None:
    adapted = Adapted(
        variants=(ORIGINAL,),
        skipped=(Skipped(recipes=FIX, reason="x"),),
        chains=(FIX,),
        made=("",),
    )
    tried = [trial(i, ORIGINAL, b, decision="failed", round_=1) for i, b in enumerate("ab")]
    assert propose(knowledge(adapted, tried, rewrites=(FIX,))) is None


def test_a_variants_required_settings_win_over_the_plans() -> None:
    hinted = variant("hint", Bf16()).model_copy(update={"settings": Settings(precision="bfloat16")})
    adapted = Adapted(variants=(ORIGINAL, hinted), chains=((Bf16(),),), made=("hint",))
    tried = [trial(i, ORIGINAL, b, decision="accepted", round_=1) for i, b in enumerate("ab")]
    step = propose(knowledge(adapted, tried, bodies=(body(Bf16()),)))
    assert isinstance(step, Together)
    assert [t.candidate.settings.precision for t in step.tries] == ["bfloat16", "bfloat16"]


def test_speeds_chain_through_the_incumbents() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, ORIGINAL, "b", decision="accepted", ratio=2.0, against=a, round_=1)
    c = trial(2, FIXED, "b", decision="rejected", ratio=0.5, against=b)
    assert list(speeds([a, b, c]).values()) == [1.0, 2.0, 1.0]
    assert incumbent_of([a, b, c]) == b
    assert baseline_of([a, b, c]) == b


LIMITED = need(SIZE)
SMALL, BIG, HUGE = ({"size": Figure.measured(v)} for v in (500.0, 1500.0, 3000.0))


def test_a_limit_gained_outweighs_speed_and_a_limit_lost_is_refused() -> None:
    slower = comparison(0.8, "x", outcome="slower")
    faster = comparison(3.0, "x")
    assert decide(LIMITED, candidate=SMALL, incumbent=BIG, comparison=slower).accepted
    lost = decide(LIMITED, candidate=BIG, incumbent=SMALL, comparison=faster)
    assert not lost.accepted
    assert "size" in lost.reason


def test_a_smaller_breach_is_progress_and_a_larger_one_is_not() -> None:
    same = comparison(1.0, "x", outcome="same")
    assert decide(LIMITED, candidate=BIG, incumbent=HUGE, comparison=same).accepted
    assert not decide(
        LIMITED, candidate=HUGE, incumbent=BIG, comparison=comparison(2.0, "x")
    ).accepted


def test_without_limits_only_a_proven_gain_is_kept() -> None:
    for outcome, kept in (
        ("faster", True),
        ("slower", False),
        ("same", False),
        ("undecided", False),
    ):
        c = comparison(1.1, "x", outcome=outcome)
        assert decide(need(), candidate={}, incumbent={}, comparison=c).accepted is kept


@pytest.mark.parametrize(
    ("low", "ours", "theirs", "kept"),
    [
        (0.97, 0.025, 0.040, True),
        (0.90, 0.025, 0.040, False),  # may be 10 % slower
        (0.97, 0.035, 0.040, False),  # hardly nearer
        (0.97, 1e-7, 1e-5, False),  # both are rounding
    ],
)
def test_a_tie_goes_to_the_one_nearer_to_the_original(
    low: float, ours: float, theirs: float, kept: bool
) -> None:
    tie = Comparison(
        incumbent="x", ratio=0.99, low=low, high=1.03, num_rounds=40, outcome="undecided"
    )
    decision = decide(
        need(),
        candidate={"relative_l2": Figure.measured(ours)},
        incumbent={"relative_l2": Figure.measured(theirs)},
        comparison=tie,
    )
    assert decision.accepted is kept


def test_the_ledger_books_each_accepted_step_under_its_technique() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, FIXED, "b", decision="accepted", ratio=2.0, against=a)
    c = trial(2, INT8, "b", decision="accepted", ratio=1.5, against=b)
    small = c.model_copy(update={"figures": {"size": Figure.measured(25.0)}, "stage": "full"})
    big = a.model_copy(update={"figures": {"size": Figure.measured(100.0)}, "stage": "full"})
    entries = ledger_entries([a, b, c], [ORIGINAL, FIXED, INT8], baseline=big, artefact=small)
    assert [(e.technique, e.quantity, e.factor.value) for e in entries] == [
        ("hardware_acceleration", "speed", 2.0),
        ("compression", "speed", 1.5),
        ("memory_optimisation", "storage", 4.0),
    ]


def test_what_only_the_final_run_proved_is_booked_by_it() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    left = trial(1, INT8, "b", decision="rejected", ratio=1.6, against=a)
    proven = trial(2, INT8, "b", decision="accepted", ratio=1.7, against=a)
    full = proven.model_copy(update={"stage": "full"})
    entries = ledger_entries([a, left, full], [ORIGINAL, INT8], baseline=a, artefact=full)
    assert [(e.technique, e.factor.value, e.trial) for e in entries] == [("compression", 1.7, 2)]


def test_the_ledger_stops_at_the_artefact_that_ships() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    b = trial(1, FIXED, "b", decision="accepted", ratio=2.0, against=a)
    assert ledger_entries([a, b], [ORIGINAL, FIXED], baseline=a, artefact=a) == ()


def test_the_baseline_measured_twice_books_no_gain() -> None:
    a = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    first, second = (
        a.model_copy(
            update={"figures": {"energy": Figure.measured(j), "size": Figure.measured(9.0)}}
        )
        for j in (1.0, 1.02)
    )
    assert ledger_entries([a], [ORIGINAL], baseline=first, artefact=second) == ()


def test_rewriting_is_booked_as_acceleration_and_not_as_compression() -> None:
    rewritten = variant("rewritten", FixShapes(), FuseAttention())
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    better = trial(1, rewritten, "a", decision="accepted", ratio=1.3, against=first)
    (entry, *_) = ledger_entries(
        [first, better], [ORIGINAL, rewritten], baseline=first, artefact=better
    )
    assert entry.technique == "hardware_acceleration"
