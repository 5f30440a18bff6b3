"""What is not worth measuring, judged by physics and by the trials so far.

Five rules, each with its margin. A candidate that is left out is recorded with the rule
and the figures, and a later run may still try it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fitwright import units
from fitwright.perf.roofline import Roof, floor_s
from fitwright.records.device import Device
from fitwright.records.model import CONVOLUTIONS, MATRICES, RECURRENT, ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    REWRITING,
    Bf16,
    Buckets,
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Trim,
    Variant,
)
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.forecast import apart, forecast
from fitwright.tune.standing import Standing

HOPELESS = 1.5  # a backend this far behind is not rescued by a variant that computes the same
HOPELESS_REWRITTEN = 2.0  # nor one this far behind by fewer and larger operators
PEAK_MARGIN = 0.7  # peaks are measured on a shared machine and may be read too low
LESS_EFFICIENT = 4.0  # may small products be, for each FLOP, than what is next to them
BEHIND = 0.95  # of the best speed: what cannot reach this is not measured
_SAME_WORK = (FixShapes, Bf16, Fp16Weights)
_STORED = (Fp16Weights, Int8Weights, Int4Weights)
_OUT_OF_REACH: Mapping[type, frozenset[str]] = {
    Int8Static: RECURRENT,
    Int8Dynamic: RECURRENT - {"LSTM"} | CONVOLUTIONS,
}
_INT8 = tuple(_OUT_OF_REACH)


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What a candidate is judged by before it is measured.

    Attributes:
        standing: every trial so far.
        variants: made so far, the original first.
        summary: of the original model.
        device: with its measured peaks.
    """

    standing: Standing
    variants: Sequence[Variant]
    summary: ModelSummary
    device: Device


def hopeless(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """Why a candidate is not worth measuring; empty when it is."""
    if not variant.recipes and candidate.settings == variant.settings:
        return ""  # the baselines are always measured
    return (
        below_the_floor(candidate, variant, grounds)
        or same_work_on_a_slow_backend(candidate, variant, grounds.standing)
        or int8_that_cannot_pay(candidate, variant, grounds)
        or storage_that_cannot_pay(candidate, variant, grounds)
        or settings_that_lost(candidate, grounds.standing, variants=grounds.variants)
    )


def below_the_floor(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """Physics: the counted FLOP over the measured peak take longer than the best so far.

    Only what every execution must do counts: FLOP at the peak of the widest arithmetic the
    candidate may use, with a margin; memory traffic may be hidden by caches. Peaks that a
    trial of this run has beaten were measured in a bad moment, and prove nothing.
    """
    if _is_cut_short(variant):
        return ""  # short queries are fewer FLOP than counted
    dtype = _dtype(candidate, variant)
    peak = grounds.device.peaks.get(dtype)
    best_s = _latency_s(grounds.standing.best)
    if peak is None or not peak.value or not best_s:
        return ""
    if _beaten(grounds):
        return ""
    roof = Roof(flop_per_s=peak.value, bandwidth_bytes_per_s=math.inf)
    least_s = PEAK_MARGIN * floor_s(flops=grounds.summary.flops, bytes_moved=0.0, roof=roof)
    if least_s <= best_s:
        return ""
    return (
        f"not measured: {units.count(grounds.summary.flops, 'FLOP')} in {dtype} take "
        f"{units.seconds(least_s)} at least (measured peak "
        f"{units.count(peak.value, 'FLOP/s')}), and the best so far takes "
        f"{units.seconds(best_s)}"
    )


def _beaten(grounds: Grounds) -> bool:
    """Whether a measured candidate was faster than its own peak allows."""
    by_id = {variant.id: variant for variant in grounds.variants}
    flops = grounds.summary.flops
    for trial in grounds.standing.trials:
        latency = trial.figures.get("latency_p50")
        variant = by_id.get(trial.candidate.variant_id)
        if variant is None or latency is None or not latency.value or _is_cut_short(variant):
            continue
        peak = grounds.device.peaks.get(_dtype(trial.candidate, variant))
        if peak is not None and peak.value and flops > peak.value * latency.value:
            return True
    return False


def _dtype(candidate: Candidate, variant: Variant) -> str:
    """The arithmetic with the highest peak that the candidate may use.

    OpenVINO may choose bfloat16 by itself unless told otherwise.
    """
    if any(isinstance(recipe, _INT8) for recipe in variant.recipes):
        return "int8"
    stated = candidate.settings.precision
    if stated is None and candidate.backend == "openvino":
        return "bfloat16"
    return stated or "float32"


def same_work_on_a_slow_backend(candidate: Candidate, variant: Variant, standing: Standing) -> str:
    """Fixed shapes, folded constants and narrower storage leave the arithmetic as it is, so
    they do not make up for a backend that runs the original far more slowly than the best;
    nor does rewriting, which saves some of it, where the backend is further behind. Runs of
    several queries may."""
    if variant.settings.batch > 1:
        return ""
    if not all(isinstance(recipe, _SAME_WORK + REWRITING) for recipe in variant.recipes):
        return ""
    is_rewritten = any(isinstance(recipe, REWRITING) for recipe in variant.recipes)
    original = [
        standing.speeds[t.candidate.key]
        for t in standing.trials
        if t.round == 1
        and t.candidate.backend == candidate.backend
        and t.candidate.key in standing.speeds
    ]
    behind = standing.top_speed / max(original) if original else 0.0
    if behind <= (HOPELESS_REWRITTEN if is_rewritten else HOPELESS):
        return ""
    return (
        f"not measured: the best so far is {behind:.2g}x as fast as the original on "
        f"{candidate.backend}, and this computes the same"
    )


def int8_that_cannot_pay(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """What int8 does not reach takes as long as before (Amdahl, AFIPS 1967).

    Shares are of the FLOP; what is reached may take `LESS_EFFICIENT` times as long for each
    of them as the rest.
    """
    missed = [_OUT_OF_REACH[type(r)] for r in variant.recipes if isinstance(r, _INT8)]
    if not missed:
        return ""
    best_s, in_float = _latency_s(grounds.standing.best), _fastest_in_float(candidate, grounds)
    if in_float is None or not best_s:
        return ""
    reached = 1 - _share(grounds.summary, missed[0])
    if in_float.seconds * max(0.0, 1 - LESS_EFFICIENT * reached) <= BEHIND * best_s:
        return ""
    return (
        f"not measured: int8 reaches {reached:.2g} of the FLOP; in floating point "
        f"{candidate.backend} takes {units.seconds(in_float.seconds)}, and the best so far takes "
        f"{units.seconds(best_s)}"
    )


def storage_that_cannot_pay(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """Narrower weights save the time to read what they are shorter by, and no more.

    Convolutions are computed as before. Products of matrices may be computed in int8 where
    weights are, so their share of the FLOP counts as no time at all.
    """
    if not variant.recipes or not isinstance(variant.recipes[-1], _STORED):
        return ""
    best_s, in_float = _latency_s(grounds.standing.best), _fastest_in_float(candidate, grounds)
    bandwidth = grounds.device.bandwidth.value
    if in_float is None or not best_s or not bandwidth or not grounds.summary.flops:
        return ""
    saved_s = max(in_float.variant.size_bytes - variant.size_bytes, 0) / bandwidth
    least_s = in_float.seconds * (1 - _share(grounds.summary, MATRICES)) - saved_s
    if least_s * BEHIND <= best_s:
        return ""
    return (
        f"not measured: in floating point {candidate.backend} takes "
        f"{units.seconds(in_float.seconds)}, narrower weights save {units.seconds(saved_s)} of "
        f"reading at most, and the best so far takes {units.seconds(best_s)}"
    )


class _InFloat(NamedTuple):
    variant: Variant
    seconds: float


def _fastest_in_float(candidate: Candidate, grounds: Grounds) -> _InFloat | None:
    """On the candidate's backend; seconds as of the moment when the best was measured."""
    standing = grounds.standing
    best, best_s = standing.best, _latency_s(standing.best)
    by_id = {v.id: v for v in grounds.variants if _is_float(v)}
    speeds = {
        v: speed
        for (v, backend), speed in standing.pairs.items()
        if backend == candidate.backend and v in by_id
    }
    if best is None or not best_s or not speeds:
        return None
    fastest = max(speeds, key=lambda v: speeds[v])
    top = standing.speeds.get(best.candidate.key, 1.0)
    return _InFloat(by_id[fastest], best_s * top / speeds[fastest])


def _share(summary: ModelSummary, kinds: Collection[str]) -> float:
    """Of the model's FLOP, that of operators of these kinds."""
    of_kinds = sum(o.flops or 0 for o in summary.operators if o.kind in kinds)
    return of_kinds / summary.flops if summary.flops else 0.0


def _is_float(variant: Variant) -> bool:
    kept = (FixShapes, Bf16, Buckets, Trim, *REWRITING)
    return all(isinstance(recipe, kept) for recipe in variant.recipes)


def _is_cut_short(variant: Variant) -> bool:
    return any(isinstance(recipe, Buckets | Trim) for recipe in variant.recipes)


def _latency_s(trial: Trial | None) -> float | None:
    figure = trial.figures.get("latency_p50") if trial else None
    return figure.value if figure else None


def settings_that_lost(
    candidate: Candidate, standing: Standing, *, variants: Iterable[Variant]
) -> str:
    """The same settings on other variants of this backend, set against their defaults."""
    required = {variant.id: variant.settings for variant in variants}
    found = forecast(candidate, standing, required=required)
    if found is None or found.at_best >= BEHIND * standing.top_speed:
        return ""
    num, settings = found.num_samples, candidate.settings.describe()
    source = f"{num} trial{'' if num == 1 else 's'} of {settings}"
    if not num:
        several = bool(apart(candidate.settings, Settings()))
        source = f"what each of {settings} did" if several else f"what {settings} did beside others"
    return (
        f"not measured: forecast at {found.speed / standing.top_speed:.2g}x of the best so far "
        f"from {source} on {candidate.backend}"
    )
