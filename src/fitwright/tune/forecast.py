"""What is not worth measuring, judged by physics and by the trials so far.

Three rules, each with its margin. A candidate that is left out is recorded with the rule
and the figures, and a later run may still try it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from fitwright import units
from fitwright.perf.roofline import Roof, floor_s
from fitwright.records.device import Device
from fitwright.records.model import MATRICES, ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    REWRITING,
    Bf16,
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Variant,
)
from fitwright.records.trial import Candidate, Trial
from fitwright.tune.standing import Standing

HOPELESS = 1.5  # a backend this far behind is not rescued by a variant that computes the same
HOPELESS_REWRITTEN = 2.5  # nor one this far behind by fewer and larger operators
PEAK_MARGIN = 0.7  # peaks are measured on a shared machine and may be read too low
LEAST_SPREAD = 0.08  # of the logarithm of a forecast speed, however well the samples agree
ONE_SAMPLE_SPREAD = 0.2  # when there is one sample only
NUM_SPREADS = 2.0
BEHIND = 0.95  # of the best speed: what cannot reach this is not measured
_SAME_WORK = (FixShapes, Bf16, Fp16Weights)
_STORED = (Fp16Weights, Int8Weights, Int4Weights)
_INT8 = (Int8Static, Int8Dynamic)


class Forecast(NamedTuple):
    """A speed relative to the first accepted candidate, and the spread of its logarithm."""

    speed: float
    spread: float
    num_samples: int

    @property
    def at_best(self) -> float:
        """What it could still come to."""
        return self.speed * math.exp(NUM_SPREADS * self.spread)


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
        or storage_that_cannot_pay(candidate, variant, grounds)
        or settings_that_lost(candidate, grounds.standing, variants=grounds.variants)
    )


def below_the_floor(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """Physics: the counted FLOP over the measured peak take longer than the best so far.

    Only what every execution must do counts: FLOP at the peak of the widest arithmetic the
    candidate may use, with a margin; memory traffic may be hidden by caches. Peaks that a
    trial of this run has beaten were measured in a bad moment, and prove nothing.
    """
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
        if variant is None or latency is None or not latency.value:
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
    nor does rewriting, which saves some of it, where the backend is further behind."""
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


def storage_that_cannot_pay(candidate: Candidate, variant: Variant, grounds: Grounds) -> str:
    """Narrower weights save the time to read what they are shorter by, and no more.

    Convolutions are computed as before. Products of matrices may be computed in int8 where
    weights are, so their share of the FLOP counts as no time at all.
    """
    if not variant.recipes or not isinstance(variant.recipes[-1], _STORED):
        return ""
    standing, summary = grounds.standing, grounds.summary
    bandwidth = grounds.device.bandwidth.value
    by_id = {v.id: v for v in grounds.variants}
    in_float = [
        (speed, by_id[v])
        for (v, backend), speed in standing.pairs.items()
        if backend == candidate.backend and v in by_id and _is_float(by_id[v])
    ]
    best = standing.best
    best_s = _latency_s(best)
    if not in_float or best is None or not best_s or not bandwidth or not summary.flops:
        return ""
    speed, fastest = max(in_float, key=lambda pair: pair[0])
    saved_s = max(fastest.size_bytes - variant.size_bytes, 0) / bandwidth
    in_matrices = sum(o.flops or 0 for o in summary.operators if o.kind in MATRICES)
    in_float_s = best_s * standing.speeds.get(best.candidate.key, 1.0) / speed
    least_s = in_float_s * (1 - in_matrices / summary.flops) - saved_s
    if least_s * BEHIND <= best_s:
        return ""
    return (
        f"not measured: in floating point {candidate.backend} takes {units.seconds(in_float_s)}, "
        f"narrower weights save {units.seconds(saved_s)} of reading at most, and the best so far "
        f"takes {units.seconds(best_s)}"
    )


def _is_float(variant: Variant) -> bool:
    return all(isinstance(recipe, (FixShapes, Bf16, *REWRITING)) for recipe in variant.recipes)


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
    return (
        f"not measured: forecast at {found.speed / standing.top_speed:.2g}x of the best so far "
        f"from {found.num_samples} trial{'' if found.num_samples == 1 else 's'} of "
        f"{candidate.settings.describe()} on {candidate.backend}"
    )


def forecast(
    candidate: Candidate, standing: Standing, *, required: Mapping[str, Settings]
) -> Forecast | None:
    """Speed at the pair's defaults times what these settings did elsewhere on this backend."""
    backend = candidate.backend

    def measured(settings: Mapping[str, Settings]) -> dict[str, float]:
        found = ((v, standing.speed_of(v, backend, s)) for v, s in settings.items())
        return {variant: speed for variant, speed in found if speed is not None}

    at_defaults = measured(required)
    own = at_defaults.get(candidate.variant_id)
    if own is None or candidate.settings == required.get(candidate.variant_id):
        return None
    others = {v: candidate.settings for v in at_defaults if v != candidate.variant_id}
    effects = [math.log(speed / at_defaults[v]) for v, speed in measured(others).items()]
    if not effects:
        return None
    spread = ONE_SAMPLE_SPREAD
    if len(effects) > 1:
        spread = max(LEAST_SPREAD, stdev(effects))
    return Forecast(own * math.exp(fmean(effects)), spread, len(effects))
