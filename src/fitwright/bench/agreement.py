"""How close the outputs stay to the original's, and what that costs in accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitwright.bench.metrics import Metric, correct, cosines, predicted_class, squared_error
from fitwright.bench.statistics import (
    Interval,
    bootstrap_interval,
    mean_interval,
    paired_share_interval,
    share_interval,
)
from fitwright.errors import DataError
from fitwright.ports import Array, Tensors
from fitwright.records.figure import Figure

MAX_MEDIAN_ENTROPY = 0.5
MOST_RESAMPLES, FEWEST_RESAMPLES = 1000, 100
NOTHING_KNOWN = Interval(-math.inf, math.inf)
RESAMPLED_VALUES = 20_000_000  # outputs read by all resamples together: a few seconds


def not_finite(outputs: Tensors, reference: Tensors) -> str | None:
    """Which outputs hold NaN or infinity where the original's do not; None: no such."""
    faults = []
    for name, ours in outputs.items():
        if ours.dtype.kind not in "fc":
            continue
        bad = np.count_nonzero(~np.isfinite(ours) & np.isfinite(_like(reference[name], ours)))
        if bad:
            faults.append(f"output '{name}': {bad} of {ours.size} values are NaN or infinite")
    return "; ".join(faults) or None


def incomplete(outputs: Tensors, reference: Tensors) -> str | None:
    """Which outputs are missing or have another shape than the original's; None: none."""
    for name, theirs in reference.items():
        if name not in outputs:
            return f"output '{name}' is missing"
        if outputs[name].shape != theirs.shape:
            return f"output '{name}' has shape {outputs[name].shape}, not {theirs.shape}"
    return None


@dataclass(frozen=True, kw_only=True)
class Distance:
    """Distance of floating-point outputs from the original's.

    Attributes:
        overall: ‖y - y₀‖₂ / ‖y₀‖₂ over all outputs and queries.
        by_output: the same for each output alone.
    """

    overall: Figure
    by_output: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float]:
        """The output farthest from the original, and how far."""
        return max(self.by_output.items(), key=lambda item: item[1])


def relative_l2(outputs: Tensors, reference: Tensors, *, seed: int) -> Distance | None:
    """Relative L2 distance with a bootstrap interval over queries; None without float outputs.

    Values that are infinite or NaN in the original are left out on both sides.
    """
    names = [n for n, y in reference.items() if y.dtype.kind == "f"]
    if not names:
        return None
    parts = {n: _squares(outputs[n], reference[n]) for n in names}
    error = np.sum([e for e, _ in parts.values()], axis=0)
    size = np.sum([s for _, s in parts.values()], axis=0)
    by_output = {n: _ratio(float(e.sum()), float(s.sum())) for n, (e, s) in parts.items()}
    value = _ratio(float(error.sum()), float(size.sum()))
    interval = _query_interval(error, size, seed=seed)
    worst = max(by_output, key=lambda n: by_output[n])
    source = f"relative L2 distance to the original over {len(names)} outputs"
    if len(names) > 1:
        source += f"; worst output '{worst}': {by_output[worst]:.3g}"
    figure = _figure(value, interval, num_samples=len(error), source=source)
    return Distance(overall=figure, by_output=by_output)


def _squares(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """Per query: squared error and squared size of the original."""
    pairs = [_squares_of(y, y0) for y, y0 in zip(ours, theirs, strict=True)]
    return np.array([error for error, _ in pairs]), np.array([size for _, size in pairs])


def _squares_of(ours: Array, theirs: Array) -> tuple[float, float]:
    """One query at a time, so that large outputs are not all widened at once."""
    y, y0 = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    kept = np.isfinite(y0)
    error, size = y[kept] - y0[kept], y0[kept]
    return float(np.sum(error * error)), float(np.sum(size * size))


def _ratio(error: float, size: float) -> float:
    if size == 0:
        return 0.0 if error == 0 else math.inf
    return math.sqrt(error / size)


def _query_interval(error: Array, size: Array, *, seed: int) -> Interval | None:
    if len(error) < 2:
        return None
    return bootstrap_interval(
        len(error), lambda i: _ratio(float(error[i].sum()), float(size[i].sum())), seed=seed
    )


def equal_share(outputs: Tensors, reference: Tensors, *, num_unread: int = 0) -> Figure | None:
    """Share of equal elements of integer, boolean and string outputs; None without such.

    Args:
        num_unread: of these elements, zero on both sides because nobody reads them.
    """
    names = [n for n, y in reference.items() if y.dtype.kind not in "fc"]
    if not names:
        return None
    equal = sum(int(np.count_nonzero(outputs[n] == reference[n])) for n in names)
    num = sum(reference[n].size for n in names)
    return _share(
        equal - num_unread, num - num_unread, source=f"equal elements of {', '.join(names)}"
    )


def top1_agreement(outputs: Tensors, reference: Tensors) -> Figure | None:
    """Share of samples with the original's top class, on the first class-shaped output."""
    name = _class_output(reference)
    if name is None:
        return None
    ours, theirs = _merge_batch(outputs[name]), _merge_batch(reference[name])
    equal = int(np.count_nonzero(ours.argmax(axis=1) == theirs.argmax(axis=1)))
    return _share(equal, len(theirs), source=f"equal top-1 answers of output '{name}'")


def is_trained_classifier(reference: Tensors) -> bool:
    """Whether the original's top-1 answers on this data mean something.

    True when an output is (batch, classes) with two classes or more, the samples fall into
    more than one class, and the original is sure of itself: the median entropy of its class
    probabilities (softmax of the scores unless they already are probabilities) is at most
    half of that of a uniform guess. Random weights fail this: their answers are near ties,
    which any rounding flips.

    Args:
        reference: the original's outputs, shape (queries, batch, classes).
    """
    name = _class_output(reference)
    if name is None:
        return False
    scores = _merge_batch(reference[name]).astype(np.float64)
    if len(scores) < 2 or not np.isfinite(scores).all():
        return False
    entropy = _entropy(_probabilities(scores)) / math.log(scores.shape[1])
    several = len(np.unique(scores.argmax(axis=1))) > 1
    return several and float(np.median(entropy)) <= MAX_MEDIAN_ENTROPY


def _class_output(reference: Tensors) -> str | None:
    """The first floating-point output of rank 2 (beside the query axis) with two columns."""
    for name, y in reference.items():
        if y.dtype.kind == "f" and y.ndim == 3 and y.shape[2] >= 2:
            return name
    return None


def _probabilities(scores: Array) -> Array:
    sums = scores.sum(axis=1)
    if scores.min() >= 0 and np.allclose(sums, 1.0, atol=1e-2):
        return scores
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _entropy(probabilities: Array) -> Array:
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(-np.sum(probabilities * logs, axis=1))


def score(outputs: Tensors, labels: Array, *, metric: Metric) -> float:
    """The metric of one model's outputs, shape (queries, *output shape).

    Raises:
        DataError: the metric raises, or gives NaN or something that is no number.
    """
    return metric(merged(metric.select(outputs), labels), labels)


def accuracy_figures(
    outputs: Tensors, reference: Tensors, labels: Array, *, metric: Metric, seed: int
) -> dict[str, Figure]:
    """``accuracy`` (the metric) and ``accuracy_drop`` (how much worse than the original).

    The drop is original minus candidate, or the reverse where lower is better, so that a
    positive drop is always a loss; its interval is paired: both judged on the same samples.
    Floating-point outputs that are the original's bit for bit lose nothing on any sample.
    """
    ours = merged(metric.select(outputs), labels)
    theirs = merged(metric.select(reference), labels)
    sign = 1.0 if metric.higher_is_better else -1.0
    value, original = metric(ours, labels), metric(theirs, labels)
    own, paired = _intervals(ours, theirs, labels, metric=metric, sign=sign, seed=seed)
    num, how = len(labels), "paired"
    if ours.dtype.kind == "f" and np.array_equal(ours, theirs, equal_nan=True):
        paired, how = Interval(0.0, 0.0), "the outputs are equal bit for bit"
    return {
        "accuracy": _figure(value, own, num_samples=num, source=f"{metric.name} against labels"),
        "accuracy_drop": _figure(
            sign * (original - value),
            paired,
            num_samples=num,
            source=f"{metric.name}: original {original:.4g}, this {value:.4g}, {how}",
        ),
    }


def _intervals(
    ours: Array, theirs: Array, labels: Array, *, metric: Metric, sign: float, seed: int
) -> tuple[Interval, Interval]:
    """Of the metric, and of the paired loss."""
    if metric.built_in and metric.name in ("accuracy", "top1_agreement"):
        return _share_intervals(ours, theirs, labels)
    if len(labels) < 2:
        return NOTHING_KNOWN, NOTHING_KNOWN
    per_sample = {"mse": squared_error, "cosine": cosines}.get(metric.name)
    if metric.built_in and per_sample is not None:
        now, before = per_sample(ours, labels), per_sample(theirs, labels)
        loss = sign * (before - now)
        return mean_interval(now, seed=seed), mean_interval(loss, seed=seed)
    return _resampled_intervals(ours, theirs, labels, metric=metric, sign=sign, seed=seed)


def _share_intervals(ours: Array, theirs: Array, labels: Array) -> tuple[Interval, Interval]:
    if labels.shape == theirs.shape and theirs.ndim > 1:
        labels = predicted_class(labels)
    now, before = correct(ours, labels), correct(theirs, labels)
    lost = int(np.count_nonzero(before & ~now))
    won = int(np.count_nonzero(now & ~before))
    return (
        share_interval(int(np.count_nonzero(now)), now.size),
        paired_share_interval(lost, won, now.size),
    )


def _resampled_intervals(
    ours: Array, theirs: Array, labels: Array, *, metric: Metric, sign: float, seed: int
) -> tuple[Interval, Interval]:
    """Bootstrap with the whole metric, for metrics that are no mean over samples."""
    wanted = min(MOST_RESAMPLES, RESAMPLED_VALUES // max(1, ours.size))
    num_resamples = max(FEWEST_RESAMPLES, wanted)
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, len(labels), len(labels)) for _ in range(num_resamples)]
    now = np.array([metric.value_or_nan(ours[i], labels[i]) for i in rows])
    before = np.array([metric.value_or_nan(theirs[i], labels[i]) for i in rows])
    return _quantiles(now), _quantiles(sign * (before - now))


def _quantiles(drawn: Array) -> Interval:
    """95 % of the resamples; resamples that do not define the metric are left out."""
    defined = drawn[~np.isnan(drawn)]
    if 2 * len(defined) < len(drawn):
        return NOTHING_KNOWN
    low, high = np.quantile(defined, [0.025, 0.975], method="inverted_cdf")
    return Interval(float(low), float(high))


def merged(outputs: Array, labels: Array) -> Array:
    """(queries, batch, …) as (samples, …), where samples are what the labels count.

    Raises:
        DataError: neither queries nor queries times batch gives the number of labels.
    """
    if len(outputs) == len(labels) and (outputs.ndim < 2 or outputs.shape[1] != 1):
        return outputs
    if outputs.ndim >= 2 and outputs.shape[0] * outputs.shape[1] == len(labels):
        return _merge_batch(outputs)
    raise DataError(
        f"{len(labels)} labels do not match outputs of shape {outputs.shape}",
        code="FW139",
        remedy="Give one label per sample; the first two axes are queries and batch.",
    )


def _merge_batch(outputs: Array) -> Array:
    return outputs.reshape(-1, *outputs.shape[2:])


def _like(theirs: Array, ours: Array) -> Array:
    return theirs if theirs.dtype.kind in "fc" else np.zeros_like(ours)


def _share(num_true: int, num: int, *, source: str) -> Figure:
    value = num_true / num if num else 1.0
    return _figure(value, share_interval(num_true, num), num_samples=num, source=source)


def _figure(value: float, interval: Interval | None, *, num_samples: int, source: str) -> Figure:
    if interval is None:
        return Figure.measured(
            value, source=f"{source}; one query, no interval", num_samples=num_samples
        )
    return Figure.measured(
        value,
        low=min(value, interval.low),
        high=max(value, interval.high),
        source=source,
        num_samples=num_samples,
    )
