"""Task metrics: what "accuracy" means for this contract, in numpy.

Scores are class scores (logits or probabilities) of shape (samples, classes, …), labels
are class indices of shape (samples, …) or, where stated, arrays like the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fitwright.errors import DataError
from fitwright.ports import Array, Tensors

MetricFunction = Callable[[Array, Array], float]


def accuracy(scores: Array, labels: Array) -> float:
    """Share of samples whose top class is the label."""
    return float(np.mean(correct(scores, labels)))


def correct(scores: Array, labels: Array) -> Array:
    """Per label: whether the top class is it."""
    return np.asarray(predicted_class(scores) == _class_labels(scores, labels))


def f1(scores: Array, labels: Array) -> float:
    """Harmonic mean of precision and recall: of class 1 when binary, else macro average.

    The macro average runs over the classes that occur in labels or predictions.
    """
    predicted, truth = predicted_class(scores), _class_labels(scores, labels)
    classes = np.union1d(predicted, truth)
    if np.all(np.isin(classes, (0, 1))):
        return _f1_of(predicted == 1, truth == 1)
    return float(np.mean([_f1_of(predicted == c, truth == c) for c in classes]))


def roc_auc(scores: Array, labels: Array) -> float:
    """Chance that a positive scores above a negative (ties count half); macro one-vs-rest.

    Computed from ranks (Mann-Whitney). Classes without both kinds are left out; NaN when
    none is left.
    """
    truth = _class_labels(scores, labels)
    if scores.ndim == 1 or scores.shape[1] == 1:
        return _auc_of(scores.reshape(len(scores)), truth == 1)
    if scores.shape[1] == 2:
        return _auc_of(scores[:, 1] - scores[:, 0], truth == 1)
    areas = [_auc_of(scores[:, c], truth == c) for c in range(scores.shape[1])]
    known = [a for a in areas if not math.isnan(a)]
    return float(np.mean(known)) if known else math.nan


def mse(outputs: Array, labels: Array) -> float:
    """Mean squared error; labels shaped like the outputs."""
    return float(np.mean(squared_error(outputs, labels)))


def squared_error(outputs: Array, labels: Array) -> Array:
    """Mean squared error of each sample."""
    truth = _like_outputs(outputs, labels)
    return np.asarray(_rows((outputs.astype(np.float64) - truth) ** 2).mean(axis=1))


def top1_agreement(outputs: Array, labels: Array) -> float:
    """Share of equal top classes; labels are scores of the same shape, or class indices."""
    if labels.shape == outputs.shape and outputs.ndim > 1:
        return float(np.mean(predicted_class(outputs) == predicted_class(labels)))
    return accuracy(outputs, labels)


def cosine(outputs: Array, labels: Array) -> float:
    """Mean cosine similarity between each output and its label vector."""
    return float(np.mean(cosines(outputs, labels)))


def cosines(outputs: Array, labels: Array) -> Array:
    """Cosine similarity of each sample; 0 where one of the two vectors is zero."""
    ours, truth = _rows(outputs.astype(np.float64)), _rows(_like_outputs(outputs, labels))
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(truth, axis=1)
    return np.asarray(np.sum(ours * truth, axis=1) / np.where(norms > 0, norms, 1.0))


METRICS: Mapping[str, MetricFunction] = {
    "accuracy": accuracy,
    "f1": f1,
    "roc_auc": roc_auc,
    "mse": mse,
    "top1_agreement": top1_agreement,
    "cosine": cosine,
}
LOWER_IS_BETTER = frozenset({"mse"})


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number over (outputs, labels), checked.

    Attributes:
        name: as the contract writes it.
        function: built in (`METRICS`) or the user's.
        output: which model output it reads; the first one when None.
        higher_is_better: of the user's own metrics this is assumed.
        built_in: whether `function` is one of `METRICS`.
    """

    name: str
    function: MetricFunction
    output: str | None = None
    higher_is_better: bool = True
    built_in: bool = True

    def __call__(self, outputs: Array, labels: Array) -> float:
        """The metric as a finite float.

        Raises:
            DataError: it raises, or gives NaN or something that is no number.
        """
        value = self.value_or_nan(outputs, labels)
        if not math.isfinite(value):
            raise DataError(
                f"the metric '{self.name}' gave {value} on {len(outputs)} samples; "
                "it must be a finite number",
                code="FW136",
                remedy="Check the labels (roc_auc needs at least two classes) or the metric.",
            )
        return value

    def value_or_nan(self, outputs: Array, labels: Array) -> float:
        """As `__call__`, but NaN is allowed: resampled data may not define it.

        Raises:
            DataError: it raises or returns something that is no number.
        """
        try:
            value = self.function(outputs, labels)
        except DataError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        if isinstance(value, bool) or np.ndim(value) or not _is_number(value):
            raise DataError(
                f"the metric '{self.name}' returned {type(value).__name__}, not a number",
                code="FW135",
                remedy="Return one float from (outputs, labels).",
            )
        return float(value)

    def select(self, outputs: Tensors) -> Array:
        """The output this metric reads.

        Raises:
            DataError: the model has no output of that name.
        """
        name = next(iter(outputs)) if self.output is None else self.output
        if name not in outputs:
            raise DataError(
                f"the contract's data.output is '{name}', but the model's outputs are "
                f"{', '.join(outputs)}",
                code="FW137",
                remedy="Name one of these outputs, or leave data.output out for the first.",
            )
        return outputs[name]

    def _raised(self, error: Exception) -> DataError:
        detail = str(error).splitlines()[0][:200] if str(error) else "no message"
        return DataError(
            f"the metric '{self.name}' raised {type(error).__name__}: {detail}",
            code="FW134",
            remedy="It is called with (outputs, labels), both numpy arrays of all samples.",
        )


def named_metric(name: str, *, output: str | None = None) -> Metric:
    """One of `METRICS`.

    Raises:
        DataError: there is no such metric.
    """
    if name not in METRICS:
        raise DataError(
            f"unknown metric '{name}'; known: {', '.join(METRICS)}",
            code="FW133",
            remedy="Use one of these, or package.module:function.",
        )
    better = name not in LOWER_IS_BETTER
    return Metric(name=name, function=METRICS[name], output=output, higher_is_better=better)


def user_metric(name: str, function: MetricFunction, *, output: str | None = None) -> Metric:
    """The user's own function of (outputs, labels); higher is better."""
    return Metric(name=name, function=function, output=output, built_in=False)


def metric_from(
    stated: str | MetricFunction, *, name: str, output: str | None = None
) -> Metric | None:
    """What step 1 found: a known name, the user's function, or ``agreement`` (no metric).

    Args:
        name: how the contract writes it, for messages.
        output: the contract's ``data.output``.

    Raises:
        DataError: there is no metric of that name.
    """
    if stated == "agreement":
        return None
    if isinstance(stated, str):
        return named_metric(stated, output=output)
    return user_metric(name, stated, output=output)


def predicted_class(scores: Array) -> Array:
    """Index of the largest score along axis 1; a single score means class 1 above the middle.

    The middle of a single score is 0.5 when all scores lie in [0, 1] (probabilities),
    else 0 (logits). Integer outputs of rank 1 are class indices already.
    """
    if scores.ndim == 1 and np.issubdtype(scores.dtype, np.integer):
        return scores
    if scores.ndim == 1 or scores.shape[1] == 1:
        single = scores.reshape(len(scores), *scores.shape[2:])
        middle = 0.5 if single.size and single.min() >= 0 and single.max() <= 1 else 0.0
        return np.asarray(single > middle, np.int64)
    return np.asarray(scores.argmax(axis=1))


def _class_labels(scores: Array, labels: Array) -> Array:
    """Labels as class indices shaped like the predictions; one-hot labels are reduced."""
    expected = predicted_class(scores[:1]).shape[1:]
    if labels.shape == scores.shape and scores.ndim > 1 and scores.shape[1] > 1:
        return np.asarray(labels.argmax(axis=1))
    if labels.shape[1:] == (1, *expected):
        labels = labels.reshape(len(labels), *expected)
    if labels.shape != (len(scores), *expected):
        raise _wrong_shape(labels, (len(scores), *expected))
    return labels


def _like_outputs(outputs: Array, labels: Array) -> Array:
    if labels.size != outputs.size or len(labels) != len(outputs):
        raise _wrong_shape(labels, outputs.shape)
    return np.asarray(labels, np.float64).reshape(outputs.shape)


def _wrong_shape(labels: Array, expected: tuple[int, ...]) -> DataError:
    return DataError(
        f"the labels have shape {labels.shape}; this metric needs {expected} for these outputs",
        code="FW138",
        remedy="Give one label per sample, or choose another metric in data.metric.",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    )


def _f1_of(predicted: Array, truth: Array) -> float:
    both = np.count_nonzero(predicted & truth)
    total = np.count_nonzero(predicted) + np.count_nonzero(truth)
    return 2 * both / total if total else 0.0


def _auc_of(scores: Array, positive: Array) -> float:
    num_positive = np.count_nonzero(positive)
    num_negative = len(positive) - num_positive
    if not num_positive or not num_negative:
        return math.nan
    _, group, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(sizes) - (sizes - 1) / 2
    rank_sum = float(mean_rank[group][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)


def _rows(values: Array) -> Array:
    return values.reshape(len(values), -1)
