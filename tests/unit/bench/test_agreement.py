"""Distance to the original and the loss of accuracy, with paired intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench_machine import limit, need, samples
from fitwright.bench.agreement import (
    accuracy_figures,
    equal_share,
    incomplete,
    is_trained_classifier,
    merged,
    not_finite,
    relative_l2,
    top1_agreement,
)
from fitwright.bench.metrics import Metric, named_metric, user_metric
from fitwright.bench.verify import verify
from fitwright.errors import DataError
from fitwright.ports import Samples, Tensors
from fitwright.records.figure import Figure
from fitwright.records.need import Need
from fitwright.records.trial import Failure

RNG = np.random.default_rng(0)
Y0 = RNG.normal(0, 1, (50, 1, 10)).astype(np.float32)


class Answering:
    """A worker of which only the answers matter."""

    def __init__(self, outputs: Tensors) -> None:
        self._outputs = outputs

    def outputs(self) -> Tensors:
        return self._outputs


def verified(
    outputs: Tensors,
    reference: Tensors,
    *,
    asked: Need | None = None,
    data: Samples | None = None,
    metric: Metric | None = None,
    slack: float = 1.0,
) -> dict[str, Figure] | Failure:
    unlabelled = Samples(inputs={"x": Y0}, labels=None, origin="synthetic")
    return verify(
        Answering(outputs),  # type: ignore[arg-type]
        reference=reference,
        need=asked or need(check_top1=False),
        samples=data or unlabelled,
        metric=metric,
        slack=slack,
    )


def test_a_few_queries_may_lie_a_little_further_than_all_of_them() -> None:
    asked = need(check_top1=False)
    bound = asked.agreement.relative_l2
    outputs = {"y": (1 + 1.2 * bound) * Y0}
    failed = verified(outputs, {"y": Y0}, asked=asked)
    assert isinstance(failed, Failure)
    assert failed.distance == pytest.approx(1.2 * bound, rel=1e-4)
    assert failed.excess == pytest.approx(1.2, rel=1e-4)
    assert not isinstance(verified(outputs, {"y": Y0}, asked=asked, slack=1.3), Failure)
    assert isinstance(verified(outputs, {"y": Y0}, asked=asked, slack=1.1), Failure)


def test_distance_is_the_l2_norm_of_the_difference_over_that_of_the_original() -> None:
    distance = relative_l2({"y": 1.1 * Y0}, {"y": Y0}, seed=0)
    assert distance is not None
    # float32 rounds 1.1
    assert distance.overall.value == pytest.approx(0.1, rel=1e-5)
    assert distance.overall.low == pytest.approx(0.1, rel=1e-5)
    assert distance.overall.num_samples == 50


def test_a_small_output_cannot_hide_behind_a_large_one() -> None:
    reference = {"big": 1000 * Y0, "small": Y0}
    outputs = {"big": 1000 * Y0, "small": -Y0}
    distance = relative_l2(outputs, reference, seed=0)
    assert distance is not None
    assert distance.worst == ("small", pytest.approx(2.0))
    assert distance.overall.value is not None
    assert distance.overall.value < 0.05
    failure = verified(outputs, reference)
    assert isinstance(failure, Failure)
    assert "'small' is 2 away" in failure.detail
    assert failure.excess == pytest.approx(2 / need().agreement.relative_l2)


def test_one_query_gives_a_distance_without_an_interval_and_says_so() -> None:
    distance = relative_l2({"y": 1.1 * Y0[:1]}, {"y": Y0[:1]}, seed=0)
    assert distance is not None
    assert distance.overall.low == distance.overall.high == distance.overall.value
    assert "no interval" in distance.overall.source


def test_infinite_values_of_the_original_itself_are_left_out() -> None:
    masked = Y0.copy()
    masked[:, :, 0] = -np.inf
    assert not_finite({"y": masked}, {"y": masked}) is None
    distance = relative_l2({"y": masked}, {"y": masked}, seed=0)
    assert distance is not None
    assert distance.overall.value == 0.0


def test_nan_names_the_output_and_how_many() -> None:
    broken = Y0.copy()
    broken[3, 0, :2] = np.nan
    failure = verified({"y": broken}, {"y": Y0})
    assert isinstance(failure, Failure)
    assert failure.cause == "not_finite"
    assert "'y': 2 of 500" in failure.detail


def test_missing_and_misshaped_outputs_are_told_apart() -> None:
    assert "missing" in (incomplete({}, {"y": Y0}) or "")
    assert "(49, 1, 10)" in (incomplete({"y": Y0[:49]}, {"y": Y0}) or "")
    assert incomplete({"y": Y0}, {"y": Y0}) is None


def test_integer_outputs_are_compared_element_by_element() -> None:
    labels = np.arange(100).reshape(100, 1) % 5
    changed = labels.copy()
    changed[:2] += 1
    share = equal_share({"label": changed}, {"label": labels})
    assert share is not None
    assert share.value == 0.98
    failure = verified({"label": changed}, {"label": labels})
    assert isinstance(failure, Failure)
    assert "0.98" in failure.detail
    assert "0.99" in failure.detail


def test_top1_counts_equal_answers() -> None:
    flipped = Y0.copy()
    flipped[:5] = -flipped[:5]
    figure = top1_agreement({"y": flipped}, {"y": Y0})
    assert figure is not None
    assert figure.value == 0.9
    assert figure.low is not None
    assert figure.low < 0.9


def test_top1_binds_only_for_trained_classifiers() -> None:
    ties = np.tile([1.0, 1.001, 0.0], (50, 1, 1))
    flipped = np.tile([1.001, 1.0, 0.0], (50, 1, 1))  # 0.1 % away, every answer changed
    figures = verified({"y": flipped}, {"y": ties}, asked=need(check_top1=False))
    assert isinstance(figures, dict)
    assert figures["top1_agreement"].value == 0.0
    failure = verified({"y": flipped}, {"y": ties}, asked=need(check_top1=True))
    assert isinstance(failure, Failure)
    assert "top-1" in failure.detail


def test_without_labels_accuracy_is_unavailable_with_the_reason() -> None:
    figures = verified({"y": Y0}, {"y": Y0})
    assert isinstance(figures, dict)
    assert figures["accuracy"].label == "unavailable"
    assert "no labels" in figures["accuracy_drop"].source


def logits(spread: float, num_classes: int = 5) -> Tensors:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, num_classes, 60)
    return {
        "y": (spread * np.eye(num_classes)[truth] + rng.normal(0, 0.3, (60, num_classes)))[:, None]
    }


def test_a_sure_classifier_is_told_from_random_weights() -> None:
    assert is_trained_classifier(logits(10.0))
    assert not is_trained_classifier(logits(0.1))


def test_probabilities_are_not_put_through_a_softmax_again() -> None:
    scores = logits(10.0)["y"]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    assert is_trained_classifier({"y": probabilities})


@pytest.mark.parametrize(
    "outputs",
    [
        np.full((20, 1, 3), [9.0, 0.0, 0.0]),  # always the same class
        RNG.normal(0, 9, (20, 1, 3, 4)),  # not (batch, classes)
        RNG.normal(0, 9, (20, 1, 1)),  # one class
        RNG.integers(0, 9, (20, 1, 3)),  # no scores
        np.full((20, 1, 3), np.nan),
        RNG.normal(0, 9, (1, 1, 3)),  # one sample
    ],
)
def test_what_is_no_classifier_is_not_taken_for_one(outputs: np.ndarray) -> None:
    assert not is_trained_classifier({"y": outputs})


def test_the_drop_is_paired_on_the_same_samples() -> None:
    data = samples(400)
    original = {"scores": data.inputs["x"]}
    changed = data.inputs["x"].copy()
    changed[0] = np.roll(changed[0], 1)  # one answer lost
    assert data.labels is not None
    figures = accuracy_figures(
        {"scores": changed}, original, data.labels, metric=named_metric("accuracy"), seed=0
    )
    drop = figures["accuracy_drop"]
    assert drop.value == pytest.approx(1 / 400)
    assert drop.low is not None
    assert drop.high is not None
    # 1 of 400 lost: Tango's upper end is about 1.4 %; an unpaired interval of two shares
    # near 0.9 would be ± 4 %
    assert -0.01 < drop.low < 0 < drop.high < 0.02


def test_losing_on_a_metric_where_lower_is_better_is_a_positive_drop() -> None:
    truth = np.random.default_rng(2).normal(0, 1, (50, 10))
    figures = accuracy_figures(
        {"y": Y0 + 2.0}, {"y": truth[:, None]}, truth, metric=named_metric("mse"), seed=0
    )
    drop = figures["accuracy_drop"]
    assert drop.value is not None
    assert drop.value > 0
    assert drop.low is not None
    assert 0 < drop.low <= drop.value


def test_outputs_equal_bit_for_bit_lose_nothing_however_few_samples_there_are() -> None:
    data = samples(20)
    assert data.labels is not None
    accuracy = named_metric("accuracy")
    same, other = {"scores": data.inputs["x"]}, {"scores": data.inputs["x"] + np.float32(1e-3)}
    exact = accuracy_figures(same, same, data.labels, metric=accuracy, seed=0)["accuracy_drop"]
    assert (exact.low, exact.value, exact.high) == (0.0, 0.0, 0.0)
    assert "bit for bit" in exact.source
    close = accuracy_figures(other, same, data.labels, metric=accuracy, seed=0)["accuracy_drop"]
    assert close.high is not None
    assert close.high > 0.01  # the same answers on 20 samples leave more than 1 % open


def test_one_labelled_sample_proves_neither_an_accuracy_nor_a_loss() -> None:
    data = samples(1)
    assert data.labels is not None
    outputs = {"scores": data.inputs["x"]}
    shares = accuracy_figures(
        outputs, outputs, data.labels, metric=named_metric("accuracy"), seed=0
    )
    # Wilson's interval of 1 out of 1 at 95 % is 1 / (1 + 1.96^2) to 1
    assert (shares["accuracy"].low, shares["accuracy"].value) == (
        pytest.approx(0.2065, abs=1e-4),
        1,
    )
    close = {"scores": data.inputs["x"] + np.float32(0.1)}
    labels = data.inputs["x"].reshape(1, 3)
    errors = accuracy_figures(close, outputs, labels, metric=named_metric("mse"), seed=0)
    assert (errors["accuracy"].low, errors["accuracy"].high) == (-math.inf, math.inf)
    assert (errors["accuracy_drop"].low, errors["accuracy_drop"].high) == (-math.inf, math.inf)


def test_a_users_metric_gets_a_seeded_paired_bootstrap() -> None:
    data = samples(100)
    assert data.labels is not None
    metric = user_metric("mine", lambda o, y: float(np.mean(o.argmax(1) == y)))
    answers = {"scores": data.inputs["x"]}
    once = accuracy_figures(answers, answers, data.labels, metric=metric, seed=3)
    again = accuracy_figures(answers, answers, data.labels, metric=metric, seed=3)
    assert once == again
    assert once["accuracy_drop"].low == once["accuracy_drop"].high == 0.0
    low, high = once["accuracy"].low, once["accuracy"].high
    assert low is not None
    assert high is not None
    assert low < 0.9 < high


def test_a_floor_that_is_broken_fails_with_value_and_bound() -> None:
    data = samples(100)
    floor = limit("accuracy", 0.95, sense="at_least")
    original = {"scores": 8 * np.eye(3, dtype=np.float32)[data.labels][:, None, :]}
    failure = verified(
        {"scores": data.inputs["x"]},
        original,
        asked=need(limits=(floor,)),
        data=data,
        metric=named_metric("accuracy"),
    )
    assert isinstance(failure, Failure)
    assert "accuracy is 0.9, below 0.95" in failure.detail
    # it lost 10 points where the floor leaves 5
    assert failure.excess == pytest.approx(2.0)


@pytest.mark.parametrize("reverse", [False, True], ids=["drop first", "floor first"])
def test_of_several_limits_on_accuracy_each_binds(reverse: bool) -> None:
    limits = [limit("accuracy_drop", 0.02), limit("accuracy", 0.5, sense="at_least")]
    data = samples(100)
    original = {"scores": 8 * np.eye(3, dtype=np.float32)[data.labels][:, None, :]}
    failure = verified(
        {"scores": data.inputs["x"]},
        original,
        asked=need(limits=tuple(limits[::-1] if reverse else limits)),
        data=data,
        metric=named_metric("accuracy"),
    )
    assert isinstance(failure, Failure)
    assert "accuracy_drop is 0.1, above 0.02" in failure.detail
    assert failure.excess == pytest.approx(5.0)


def test_where_nothing_may_be_lost_no_loss_is_so_many_times_too_large() -> None:
    data = samples(100)
    original = {"scores": 8 * np.eye(3, dtype=np.float32)[data.labels][:, None, :]}
    failure = verified(
        {"scores": data.inputs["x"]},
        original,
        asked=need(limits=(limit("accuracy_drop", 0.0),)),
        data=data,
        metric=named_metric("accuracy"),
    )
    assert isinstance(failure, Failure)
    assert failure.excess is None


def test_batches_are_unfolded_into_samples() -> None:
    outputs = np.arange(24).reshape(3, 4, 2)
    assert merged(outputs, np.zeros(12)).shape == (12, 2)
    assert merged(np.zeros((5, 1, 2)), np.zeros(5)).shape == (5, 2)
    assert merged(np.zeros((5, 1)), np.zeros(5)).shape == (5,)
    assert merged(np.zeros(5), np.zeros(5)).shape == (5,)
    with pytest.raises(DataError, match="7 labels"):
        merged(outputs, np.zeros(7))


def test_an_original_of_zeros_is_infinitely_far_from_anything_else() -> None:
    distance = relative_l2({"y": Y0}, {"y": 0 * Y0}, seed=0)
    assert distance is not None
    assert distance.overall.value == math.inf
