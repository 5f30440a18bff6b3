"""What lies behind a query's last token decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fitwright.bench.padding import evenly_mixed, num_unread, own_lengths, without_padding
from fitwright.bench.verify import verify
from fitwright.ports import Samples, Tensors
from fitwright.records.figure import Figure
from fitwright.records.need import Padding
from fitwright.records.trial import Failure
from needs import need

# two queries of one sample each and six tokens: three and four of them are the query's own
MASK = np.array([[[1, 1, 1, 0, 0, 0]], [[1, 0, 1, 1, 0, 0]]])
PADDING = Padding(mask="mask", symbol="tokens", longest=6, outputs=(("states", 1),))


def test_a_query_ends_at_its_last_token_whatever_is_hidden_before() -> None:
    assert own_lengths(MASK).tolist() == [3, 4]


def test_the_longest_sample_of_a_batch_decides_and_one_of_padding_alone_is_whole() -> None:
    mask = np.array([[[1, 0, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
    assert own_lengths(mask).tolist() == [2, 3]


def test_outputs_behind_the_last_token_are_zero_and_others_stay() -> None:
    outputs = {"states": np.ones((2, 1, 6, 2)), "pooled": np.ones((2, 1, 2))}
    padding = PADDING.model_copy(update={"outputs": (("states", 1),)})
    read = without_padding(outputs, {"mask": MASK}, padding)
    assert read["states"].sum(axis=(1, 3)).tolist() == [[2] * 3 + [0] * 3, [2] * 4 + [0] * 2]
    assert read["pooled"] is outputs["pooled"]
    assert outputs["states"].all(), "the original's own answers are not written to"


def test_without_the_promise_every_output_is_read() -> None:
    outputs = {"states": np.ones((2, 1, 6, 2))}
    assert without_padding(outputs, {}, None) is outputs
    assert num_unread(outputs, {}, None) == 0


@dataclass(frozen=True)
class Answers:
    """A child that answers this."""

    given: Tensors

    def outputs(self) -> Tensors:
        return self.given


def examined(ours: Any, theirs: Any, padding: Padding | None) -> dict[str, Figure] | Failure:
    return verify(
        Answers({"states": ours}),  # type: ignore[arg-type]
        reference={"states": theirs},
        need=need().model_copy(update={"padding": padding}),
        samples=Samples(inputs={"mask": MASK}, labels=None, origin="contract"),
        metric=None,
    )


def test_outputs_that_differ_in_padding_alone_agree() -> None:
    theirs = np.random.default_rng(0).standard_normal((2, 1, 6, 2)).astype(np.float32)
    ours = theirs.copy()
    ours[0, :, 3:], ours[1, :, 4:] = 0, np.nan
    figures = examined(ours, theirs, PADDING)
    assert isinstance(figures, dict) and figures["relative_l2"].value == 0
    assert isinstance(examined(ours, theirs, None), Failure)


def test_a_difference_before_the_last_token_is_still_one() -> None:
    theirs = np.ones((2, 1, 6, 2), np.float32)
    ours = theirs.copy()
    ours[1, :, 3] = 9
    assert isinstance(examined(ours, theirs, PADDING), Failure)


def test_padding_does_not_count_as_equal_answers() -> None:
    theirs = np.arange(12).reshape(2, 1, 6)
    ours = theirs.copy()
    ours[0, 0, 0] += 1  # one of the seven answers that are read
    found = examined(ours, theirs, PADDING)
    assert isinstance(found, Failure) and "0.8571 on 7 answers" in found.detail


def test_every_stretch_of_queries_is_as_long_and_short_as_the_whole() -> None:
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(2.6, 0.7, 240).astype(int), 1, 128)
    mask = (np.arange(128)[None] < lengths[:, None]).astype(np.int64)[:, None]
    given = Samples(inputs={"mask": mask}, labels=np.arange(240), origin="contract")
    padding = PADDING.model_copy(update={"longest": 128})
    mixed, reference = evenly_mixed(given, {"y": np.arange(240)}, padding)
    assert sorted(reference["y"]) == list(range(240))
    assert mixed.labels is not None and np.array_equal(mixed.labels, reference["y"])
    assert np.array_equal(own_lengths(mixed.inputs["mask"]), lengths[reference["y"]])
    mine, drawn = (
        np.median(lengths[order].reshape(-1, 12), axis=1)
        for order in (reference["y"], random.permutation(240))
    )
    assert np.abs(mine - np.median(lengths)).max() <= 2
    assert np.std(mine) < np.std(drawn) / 3


def test_without_padding_the_order_stays() -> None:
    given = Samples(inputs={"mask": MASK}, labels=None, origin="contract")
    reference = {"y": np.arange(2)}
    assert evenly_mixed(given, reference, None) == (given, reference)


@pytest.mark.parametrize("dtype", [bool, np.int32])
def test_a_mask_may_be_of_truth_values_or_numbers(dtype: type) -> None:
    assert own_lengths(MASK.astype(dtype)).tolist() == [3, 4]
