"""Hopeless candidates are told by physics and by earlier trials, never on a hunch."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from bench_machine import device
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Buckets,
    FixShapes,
    FuseAttention,
    Int8Static,
    Int8Weights,
    Recipe,
    Variant,
)
from fitwright.records.trial import Candidate, Comparison, Trial
from fitwright.tune.forecast import forecast
from fitwright.tune.hopeless import Grounds, hopeless
from fitwright.tune.standing import Standing

CALM, ONE = Settings(spinning=False), Settings(threads=1)
FLOPS = 1_000_000_000


def variant(id_: str, *recipes: Recipe) -> Variant:
    return Variant(
        id=id_, recipes=recipes, file="m", files=("m",), format="onnx", sha256="0" * 64,
        size_bytes=1, backends=("onnxruntime", "openvino"),
    )  # fmt: skip


ORIGINAL, FIXED = variant("orig"), variant("fixed", FixShapes())
INT8, OTHER = variant("int8", FixShapes(), Int8Static()), variant("other", Int8Static())
STORED = variant("stored", FixShapes(), Int8Weights())  # computes in floating point
VARIANTS = (ORIGINAL, FIXED, INT8, OTHER, STORED)


def candidate(of: Variant, backend: str = "onnxruntime", settings: Settings | None = None) -> Any:
    return Candidate(
        variant_id=of.id, title=of.title, backend=backend, settings=settings or Settings()
    )


def first(latency_s: float = 1.0) -> Trial:
    return Trial(
        number=1, round=1, candidate=candidate(ORIGINAL), decision="accepted", reason="",
        figures={"latency_p50": Figure.measured(latency_s, unit="s")},
    )  # fmt: skip


def raced(
    number: int, what: Candidate, ratio: float, *, round_: int = 2, accepted: bool = False
) -> Trial:
    comparison = Comparison(
        incumbent=candidate(ORIGINAL).key, ratio=ratio, low=ratio, high=ratio, num_rounds=9,
        outcome="faster" if ratio > 1 else "slower",
    )  # fmt: skip
    return Trial(
        number=number, round=round_, candidate=what, reason="", comparison=comparison,
        decision="accepted" if accepted else "rejected",
        figures={"latency_p50": Figure.measured(1.0 / ratio, unit="s")},
    )  # fmt: skip


def told(
    what: Candidate,
    of: Variant,
    *trials: Trial,
    peaks: dict[str, float] | None = None,
    products: int = FLOPS,
    others: str = "Conv",
    variants: tuple[Variant, ...] = VARIANTS,
) -> str:
    peaks = peaks or {}
    operators = (
        SimpleNamespace(kind="MatMul", flops=products),
        SimpleNamespace(kind=others, flops=FLOPS - products),
    )
    machine = device().model_copy(
        update={"peaks": {name: Figure.measured(v, unit="FLOP/s") for name, v in peaks.items()}}
    )
    grounds = Grounds(
        standing=Standing(trials),
        variants=variants,
        summary=SimpleNamespace(flops=FLOPS, operators=operators),  # type: ignore[arg-type]
        device=machine,
    )
    return hopeless(what, of, grounds)


def test_what_cannot_be_computed_in_time_is_not_measured() -> None:
    peaks = {"float32": FLOPS / 2.0, "int8": FLOPS / 0.1}  # 2 s and 0.1 s at the peak
    fast = raced(2, candidate(INT8), 2.0, accepted=True)
    why = told(candidate(FIXED), FIXED, first(latency_s=2.0), fast, peaks=peaks)
    assert "in float32 take 1.4 s at least" in why, "0.7 of the time at the peak, as a margin"
    assert told(candidate(OTHER), OTHER, first(latency_s=2.0), fast, peaks=peaks) == ""
    alone = told(candidate(FIXED), FIXED, first(latency_s=2.0), peaks=peaks)
    assert alone == "", "the best so far takes 2 s itself"


def test_a_backend_that_may_choose_a_narrower_arithmetic_is_judged_by_that() -> None:
    peaks = {"float32": FLOPS / 2.0, "bfloat16": FLOPS / 0.5}
    fast = raced(2, candidate(INT8), 1.5, accepted=True)
    on_openvino = candidate(FIXED, "openvino")
    assert told(on_openvino, FIXED, first(latency_s=2.0), fast, peaks=peaks) == ""
    kept = candidate(FIXED, "openvino", Settings(precision="float32"))
    assert "float32" in told(kept, FIXED, first(latency_s=2.0), fast, peaks=peaks)


def test_peaks_that_a_trial_has_beaten_prove_nothing() -> None:
    peaks = {"float32": FLOPS / 2.0, "int8": FLOPS / 0.6}
    beaten = raced(2, candidate(INT8), 2.0, accepted=True)  # 0.5 s, where the peak allows 0.6
    assert told(candidate(STORED), STORED, first(), beaten, peaks=peaks) == ""
    kept = raced(2, candidate(INT8), 1.5, accepted=True)
    assert "in float32" in told(candidate(STORED), STORED, first(2.0), kept, peaks=peaks)


def test_without_a_measured_peak_physics_is_silent() -> None:
    assert told(candidate(FIXED), FIXED, first()) == ""


def test_physics_is_silent_about_models_that_compute_short_queries_short() -> None:
    lengths = Buckets(mask="mask", symbol="tokens", lengths=(8, 16))
    joined = variant("joined", FixShapes(), lengths)
    peaks = {"float32": FLOPS / 2.0, "int8": FLOPS / 0.1}
    fast = raced(2, candidate(INT8), 2.0, accepted=True)
    seen = (first(latency_s=2.0), fast)
    assert told(candidate(joined), joined, *seen, peaks=peaks, variants=(*VARIANTS, joined)) == ""
    assert told(candidate(FIXED), FIXED, *seen, peaks=peaks) != ""


def test_the_baselines_are_always_measured() -> None:
    peaks = {"float32": 1.0}
    assert told(candidate(ORIGINAL), ORIGINAL, first(latency_s=0.001), peaks=peaks) == ""


def test_narrower_weights_of_convolutions_save_no_more_than_the_time_to_read_them() -> None:
    # 1 s in floating point, and 8 bits save three quarters of what the bandwidth reads in it
    bandwidth = device().bandwidth.value or 0.0
    whole = ORIGINAL.model_copy(update={"size_bytes": int(0.2 * bandwidth)})
    stored = STORED.model_copy(update={"size_bytes": int(0.05 * bandwidth)})
    fast = raced(2, candidate(INT8), 1.3, accepted=True)  # 0.77 s; the weights save 0.15
    told_of = partial(told, candidate(stored), stored, first(), products=0)
    variants = (whole, INT8, stored)
    why = told_of(fast, variants=variants)
    assert "narrower weights save 150 ms of reading at most" in why
    near = raced(2, candidate(INT8), 1.15, accepted=True)  # 0.87 s, which it may come to
    assert told_of(near, variants=variants) == ""


def test_narrower_weights_of_products_may_be_multiplied_in_int8() -> None:
    fast = raced(2, candidate(INT8), 1.4, accepted=True)
    assert told(candidate(STORED), STORED, first(), fast, products=FLOPS) == ""
    assert "in floating point" in told(candidate(STORED), STORED, first(), fast, products=0)


@pytest.mark.parametrize(("share", "measured"), [(0.004, False), (0.3, True)])
def test_int8_saves_no_more_than_what_it_reaches(share: float, measured: bool) -> None:
    trials = (first(), raced(2, candidate(ORIGINAL), 1.0, round_=1, accepted=True))
    why = told(candidate(INT8), INT8, *trials, products=int(share * FLOPS), others="LSTM")
    assert (why == "") == measured
    assert measured or "int8 reaches 0.004 of the FLOP" in why


def test_a_backend_far_behind_is_not_rescued_by_a_variant_that_computes_the_same() -> None:
    fast = raced(2, candidate(ORIGINAL, "openvino"), 2.0, round_=1, accepted=True)
    why = told(candidate(FIXED), FIXED, first(), fast)
    assert "2x as fast as the original on onnxruntime" in why
    assert told(candidate(FIXED, "openvino"), FIXED, first(), fast) == ""
    assert told(candidate(INT8), INT8, first(), fast) == "", "other arithmetic may well win"


def test_runs_of_several_queries_may_make_up_for_any_backend() -> None:
    stacked = variant("stacked", FixShapes(batch=4))
    stacked = stacked.model_copy(update={"settings": Settings(batch=4)})
    fast = raced(2, candidate(ORIGINAL, "openvino"), 9.0, round_=1, accepted=True)
    assert told(candidate(stacked, settings=Settings(batch=4)), stacked, first(), fast) == ""


@pytest.mark.parametrize(("ahead", "measured"), [(1.9, True), (3.0, False)])
def test_rewriting_may_make_up_for_more_than_fixed_shapes(ahead: float, measured: bool) -> None:
    rewritten = variant("rewritten", FixShapes(), FuseAttention())
    fast = raced(2, candidate(ORIGINAL, "openvino"), ahead, round_=1, accepted=True)
    assert (told(candidate(rewritten), rewritten, first(), fast) == "") == measured
    assert told(candidate(FIXED), FIXED, first(), fast) != ""


def lost(ratio: float) -> list[Trial]:
    """These settings, `ratio` times as fast as the defaults on another variant."""
    return [
        first(),
        raced(2, candidate(INT8), 1.0),
        raced(3, candidate(OTHER), 1.0),
        raced(4, candidate(INT8, settings=CALM), ratio),
    ]


def test_settings_that_lost_elsewhere_on_the_backend_are_not_measured_again() -> None:
    what = candidate(OTHER, settings=CALM)
    assert "forecast at 0.5x of the best so far from 1 trial" in told(what, OTHER, *lost(0.5))
    assert told(what, OTHER, *lost(0.9)) == "", "one sample does not tell 10 %"
    on_another_backend = candidate(OTHER, "openvino", CALM)
    assert told(on_another_backend, OTHER, *lost(0.5)) == ""


def test_two_settings_that_both_lost_are_not_tried_together() -> None:
    both = CALM.merged(ONE)
    slow = raced(5, candidate(INT8, settings=ONE), 0.5)
    assert told(candidate(OTHER, settings=both), OTHER, *lost(0.9)) == "", "one is not known"
    why = told(candidate(OTHER, settings=both), OTHER, *lost(0.9), slow)
    assert "forecast at 0.45x of the best so far from what each of threads=1, spinning" in why
    fast = raced(5, candidate(INT8, settings=ONE), 1.2)
    assert told(candidate(OTHER, settings=both), OTHER, *lost(0.9), fast) == ""


def test_what_settings_did_beside_others_tells_what_they_do_alone() -> None:
    both, what = CALM.merged(ONE), candidate(OTHER, settings=CALM)
    plain = [first(), raced(2, candidate(OTHER), 1.0)]
    beside = raced(3, candidate(OTHER, settings=both), 0.4)
    assert told(what, OTHER, *plain, beside) == "", "what the other did alone is not known"
    alone = raced(4, candidate(OTHER, settings=ONE), 0.8)
    why = told(what, OTHER, *plain, beside, alone)
    assert "forecast at 0.5x of the best so far from what spinning=False did beside others" in why
    gained = raced(3, candidate(OTHER, settings=both), 0.7)
    assert told(what, OTHER, *plain, gained, alone) == "", "one sample does not tell 12 %"


def test_a_forecast_narrows_with_its_samples() -> None:
    third = variant("third", Int8Static())
    trials = [
        *lost(0.9), raced(5, candidate(third), 1.0), raced(6, candidate(third, settings=CALM), 0.9)
    ]  # fmt: skip
    required = {v.id: v.settings for v in (*VARIANTS, third)}
    what = candidate(OTHER, settings=CALM)
    one = forecast(what, Standing(lost(0.9)), required=required)
    two = forecast(what, Standing(trials), required=required)
    assert one is not None and two is not None
    assert (one.num_samples, two.num_samples) == (1, 2)
    assert two.spread < one.spread
    assert abs(two.speed - 0.9) < 1e-9  # rounding of exp(log)
