"""When int8 is taken apart, and when finer ranges or storage come first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from fitwright.records.agenda import Chain
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, FixShapes, Int8Dynamic, Int8Static, Variant
from fitwright.records.trial import Failure, Trial
from fitwright.tune.proposal import Explore, Knowledge, Make, Step, TakeApart, Together
from fitwright.tune.propose import propose
from proposals import (
    FIX,
    ONE,
    ORIGINAL,
    body,
    comparison,
    knowledge,
    plan,
    shown,
    trial,
    tuned,
    variant,
)


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


def left_out(*excesses: float, won: bool = False) -> Knowledge:
    """What is known when int8 variants were so many times too far off, and one perhaps won."""
    int8 = [
        variant(str(i), FixShapes(), Int8Static(symmetric=bool(i)), backends=("a",))
        for i in range(len(excesses))
    ]
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    trials = [first, trial(1, ORIGINAL, "b", decision="rejected", ratio=0.9, against=first)]
    for number, (v, excess) in enumerate(zip(int8, excesses, strict=True), start=2):
        failure = Failure(cause="disagrees", detail="", excess=excess)
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
    assert isinstance(propose(left_out(1.2)), TakeApart)
    assert isinstance(propose(left_out(1.2, won=True)), Explore)


def test_what_follows_from_taking_apart_is_made_after_settings_are_tuned() -> None:
    mix = (FixShapes(), Int8Static(keep=("x",)))
    tried = [trial(i, ORIGINAL, b, decision="accepted", round_=1) for i, b in enumerate("ab")]
    known = knowledge(Adapted(variants=(ORIGINAL,)), tried, mixed=(mix,))
    assert isinstance(propose(known), Explore)
    assert propose(tuned(known)) == Make(chain=mix)


WIDE = plan(ONE, Settings(precision="float32"), Settings(precision="float32", threads=1))


def int8_made(*more: Trial, lean: bool) -> Knowledge:
    """An int8 variant of `b` was made; it is what bodies begin with."""
    int8 = variant("int8", FixShapes(), Int8Static())
    adapted = Adapted(variants=(ORIGINAL, int8), chains=((*FIX, Int8Static()),), made=("int8",))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=0.6, against=first, round_=1)
    bodies = (body(*FIX, Int8Static(), on="b"),)
    known = knowledge(adapted, [first, other, *more], bodies=bodies)
    return replace(known, plan=WIDE, lean=lean)


def tried_int8(*, excess: float | None, ratio: float = 0.9) -> Trial:
    """It was measured with the usual arithmetic, or (an excess) was too far."""
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    int8 = variant("int8", FixShapes(), Int8Static())
    measured = trial(2, int8, "b", decision="rejected", ratio=ratio, against=first)
    if excess is None:
        return measured
    failure = Failure(cause="disagrees", detail="", excess=excess)
    return measured.model_copy(update={"failure": failure, "comparison": None})


def int8_tries(known: Knowledge) -> list[Settings]:
    step = propose(known)
    found = step.tries if isinstance(step, Together) else ()
    return [t.candidate.settings for t in found if t.variant.id == "int8"]


def test_an_int8_model_is_tried_with_each_arithmetic_for_the_rest() -> None:
    usual, other = Settings(), Settings(precision="float32")
    assert int8_tries(int8_made(lean=False)) == [usual]
    assert int8_tries(int8_made(tried_int8(excess=None), lean=False)) == [other]
    assert int8_tries(int8_made(tried_int8(excess=4.0), lean=False)) == []
    far_behind = tried_int8(excess=None, ratio=0.7)
    assert int8_tries(int8_made(far_behind, lean=False)) == []


def test_where_trials_are_dear_both_arithmetics_run_in_the_same_rounds() -> None:
    assert int8_tries(int8_made(lean=True)) == [Settings(), Settings(precision="float32")]


def test_finer_ranges_are_tried_on_the_best_backend_alone() -> None:
    finer = variant("finer", Int8Static(method="percentile"))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    adapted = Adapted(variants=(ORIGINAL, finer), chains=(finer.recipes,), made=("finer",))
    wanted = body(Int8Static(method="percentile")).model_copy(update={"finer_ranges": True})
    known = knowledge(adapted, [first, other], bodies=(wanted,))
    step = propose(replace(known, coarse=frozenset({"onnxruntime"})))
    assert isinstance(step, Together)
    assert [t.candidate.backend for t in step.tries] == ["a"]


@pytest.mark.parametrize(
    ("excess", "expected"),
    [
        (1.2, "make int8_static/onnxruntime/entropy"),
        (2.0, "look inside usual/a"),
        (None, "make int8_static/onnxruntime/entropy"),
    ],
    ids=["nearer", "no nearer", "agrees"],
)
def test_the_next_finer_ranges_are_made_only_where_others_brought_outputs_nearer(
    excess: float | None, expected: str
) -> None:
    usual, finer = variant("usual", Int8Static()), variant("finer", Int8Static(method="percentile"))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    trials = [first, other, apart(2, usual, 2.0), apart(3, finer, excess)]
    methods = ("percentile", "entropy")
    bodies = tuple(
        body(Int8Static(method=m)).model_copy(update={"finer_ranges": True})  # type: ignore[arg-type]
        for m in methods
    )
    adapted = Adapted(
        variants=(ORIGINAL, usual, finer),
        chains=(usual.recipes, finer.recipes),
        made=("usual", "finer"),
    )
    known = knowledge(adapted, trials, bodies=bodies)
    step = propose(replace(known, coarse=frozenset({"onnxruntime"})))
    assert step is not None and shown(step) == expected


@pytest.mark.parametrize(
    ("timed", "expected"),
    [
        ((1.3, 1.9), "look inside quick/a"),
        ((1.3, 1.2), "make int8_static/onnxruntime/percentile"),
        ((None, 1.9), "make int8_static/onnxruntime/percentile"),
    ],
    ids=["outrun", "not outrun", "never timed"],
)
def test_no_finer_ranges_are_made_of_what_another_toolkit_outruns(
    timed: tuple[float | None, float], expected: str
) -> None:
    slow, quick = variant("slow", Int8Static()), variant("quick", Int8Static(toolkit="nncf"))
    first = trial(0, ORIGINAL, "a", decision="accepted", round_=1)
    other = trial(1, ORIGINAL, "b", decision="rejected", ratio=1.0, against=first, round_=1)
    far = [apart(2 + i, v, 1.18) for i, v in enumerate((slow, quick))]
    trials = [first, other, *(glanced(t, at) for t, at in zip(far, timed, strict=True))]
    finer = body(Int8Static(method="percentile")).model_copy(update={"finer_ranges": True})
    adapted = Adapted(
        variants=(ORIGINAL, slow, quick),
        chains=(slow.recipes, quick.recipes),
        made=("slow", "quick"),
    )
    known = knowledge(adapted, trials, bodies=(finer,))
    step = propose(replace(known, coarse=frozenset({"onnxruntime", "nncf"})))
    assert step is not None and shown(step) == expected


def glanced(failed: Trial, at: float | None) -> Trial:
    """Timed all the same, at so many times the speed of the original."""
    if at is None or failed.failure is None:
        return failed
    original = trial(0, ORIGINAL, "a", decision="accepted", round_=1).candidate.key
    failure = failed.failure.model_copy(update={"glance": comparison(at, original)})
    return failed.model_copy(update={"failure": failure})


def apart(number: int, what: Variant, excess: float | None) -> Trial:
    """So many times too far from the original; None: near enough, and slower."""
    found = trial(number, what, "a", decision="rejected", ratio=0.5, round_=3,
                  against=trial(0, ORIGINAL, "a", decision="accepted", round_=1))  # fmt: skip
    if excess is None:
        return found
    failure = Failure(cause="disagrees", detail="", excess=excess)
    return found.model_copy(update={"failure": failure, "decision": "failed", "comparison": None})


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
