"""Metrics agree with scikit-learn, and a user's own metric fails with a clear cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peer

from fitwright.bench import metrics as m
from fitwright.errors import DataError

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 200)
SCORES = RNG.normal(0, 1, (200, 4)) + 1.5 * np.eye(4)[LABELS]
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
BINARY = LABELS % 2


def test_accuracy_agrees_with_the_peer() -> None:
    assert m.accuracy(SCORES, LABELS) == peer.accuracy_score(LABELS, SCORES.argmax(1))


def test_accuracy_reads_one_hot_labels_and_label_columns_too() -> None:
    plain = m.accuracy(SCORES, LABELS)
    assert m.accuracy(SCORES, np.eye(4)[LABELS]) == plain
    assert m.accuracy(SCORES, LABELS[:, None]) == plain


def test_accuracy_counts_every_pixel_of_a_segmentation() -> None:
    truth = np.arange(5 * 8 * 8).reshape(5, 8, 8) % 3
    scores = np.moveaxis(np.eye(3)[truth], -1, 1)
    truth[0, 0, 0] = (truth[0, 0, 0] + 1) % 3
    assert m.accuracy(scores, truth) == 1 - 1 / (5 * 8 * 8)


def test_macro_f1_agrees_with_the_peer() -> None:
    theirs = peer.f1_score(LABELS, SCORES.argmax(1), average="macro")
    # sums in another order
    assert m.f1(SCORES, LABELS) == pytest.approx(theirs, rel=1e-12)


def test_binary_f1_is_that_of_class_one() -> None:
    scores = SCORES[:, :2] + np.eye(2)[BINARY]
    theirs = peer.f1_score(BINARY, scores.argmax(1))
    assert m.f1(scores, BINARY) == pytest.approx(theirs, rel=1e-12)


def test_roc_auc_agrees_with_the_peer_on_many_classes() -> None:
    theirs = peer.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr", average="macro")
    # ranks against trapezoids: sums in another order
    assert m.roc_auc(PROBABILITIES, LABELS) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("digits", [1, 6], ids=["ties", "no ties"])
def test_roc_auc_counts_ties_half(digits: int) -> None:
    scores = np.round(SCORES[:, 0] + BINARY, digits)
    theirs = peer.roc_auc_score(BINARY, scores)
    assert m.roc_auc(scores, BINARY) == pytest.approx(theirs, rel=1e-12)
    assert m.roc_auc(scores[:, None], BINARY) == pytest.approx(theirs, rel=1e-12)


def test_roc_auc_without_both_classes_is_undefined() -> None:
    assert math.isnan(m.roc_auc(SCORES[:, 0], np.zeros(200, int)))


def test_mse_and_cosine_agree_with_their_definitions() -> None:
    truth = np.random.default_rng(2).normal(0, 1, (200, 4))
    assert m.mse(SCORES, truth) == pytest.approx(peer.mean_squared_error(truth, SCORES))
    theirs = np.diag(peer.pairwise.cosine_similarity(SCORES, truth)).mean()
    assert m.cosine(SCORES, truth) == pytest.approx(theirs)


def test_a_column_of_targets_matches_a_flat_one() -> None:
    assert m.mse(SCORES[:, :1], SCORES[:, 0]) == 0.0


def test_a_single_score_is_split_at_one_half_or_at_zero() -> None:
    assert m.predicted_class(np.array([0.4, 0.6])).tolist() == [0, 1]
    assert m.predicted_class(np.array([[-0.4], [3.0]])).tolist() == [0, 1]


def test_integer_outputs_are_classes_already() -> None:
    assert m.accuracy(LABELS, LABELS) == 1.0


def test_labels_of_another_shape_name_both_shapes() -> None:
    with pytest.raises(DataError, match=r"\(199,\).*\(200,\)") as caught:
        m.accuracy(SCORES, LABELS[:199])
    assert caught.value.code == "FW138"


def raising(outputs: Any, labels: Any) -> float:
    raise ValueError("boom\nsecond line")


@pytest.mark.parametrize(
    ("function", "code", "text"),
    [
        (raising, "FW134", "raised ValueError: boom"),
        (lambda o, y: "0.9", "FW135", "returned str"),
        (lambda o, y: None, "FW135", "returned NoneType"),
        (lambda o, y: o, "FW135", "returned ndarray"),
        (lambda o, y: True, "FW135", "returned bool"),
        (lambda o, y: math.nan, "FW136", "gave nan"),
        (lambda o, y: math.inf, "FW136", "gave inf"),
    ],
)
def test_a_metric_that_fails_is_a_data_error_with_its_cause(
    function: Callable[[Any, Any], Any], code: str, text: str
) -> None:
    metric = m.user_metric("mine:score", function)
    with pytest.raises(DataError, match=text) as caught:
        metric(SCORES, LABELS)
    assert caught.value.code == code
    assert "mine:score" in caught.value.rule
    assert len(str(caught.value).splitlines()) == 2


def test_a_users_metric_may_return_any_kind_of_number() -> None:
    for number in (1, 1.0, np.float32(1), np.int64(1), np.array(1.0)):
        assert m.user_metric("mine", lambda o, y, n=number: n)(SCORES, LABELS) == 1.0


def test_an_interrupt_inside_a_metric_passes_through() -> None:
    def interrupted(outputs: Any, labels: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        m.user_metric("mine", interrupted)(SCORES, LABELS)


def test_an_unknown_metric_or_output_lists_what_is_known() -> None:
    with pytest.raises(DataError, match="roc_auc"):
        m.named_metric("acuracy")
    with pytest.raises(DataError, match=r"'y'.*logits, boxes"):
        m.named_metric("accuracy", output="y").select({"logits": SCORES, "boxes": SCORES})


def test_what_step_one_found_becomes_a_metric_or_none() -> None:
    assert m.metric_from("agreement", name="agreement") is None
    named = m.metric_from("mse", name="mse", output="y")
    assert named is not None
    assert (named.output, named.higher_is_better) == ("y", False)
    own = m.metric_from(lambda o, y: 0.5, name="mine:score")
    assert own is not None
    assert (own.name, own(SCORES, LABELS)) == ("mine:score", 0.5)
