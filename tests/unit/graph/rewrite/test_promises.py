"""What the contract promises about inputs removes masks and guards, and nothing else."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fitwright.graph.rewrite.promises import drop_masks
from rewriting_proof import CLOSE, Rewritten

WEIGHTS = {
    "zero": np.float32(0),
    "low": np.float32(-np.inf),
    "finite": np.float32(-1e30),
}
TEXT = """g (float[1,2,6,4] q, float[1,2,4,6] k, float[1,2,6,4] v, int64[1,1,1,6] mask)
  => (float[1,2,6,4] y) {
  b = Cast<to=9>(mask) a = Where(b, zero, low) s = MatMul(q, k) m = Add(s, a)
  p = Softmax<axis=-1>(m) n = IsNaN(p) g = Where(n, zero, p) y = MatMul(g, v) }"""


def feeds(mask: np.ndarray) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(2)
    shapes = {"q": (1, 2, 6, 4), "k": (1, 2, 4, 6), "v": (1, 2, 6, 4)}
    made = {n: draw.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    return made | {"mask": mask.astype(np.int64)}


def test_a_promised_mask_folds_away_with_its_guard_and_stays_an_input(
    rewritten: Rewritten,
) -> None:
    found = rewritten(
        TEXT,
        partial(drop_masks, constant_inputs={"mask": 1.0}),
        weights=WEIGHTS,
        feeds=[feeds(np.ones((1, 1, 1, 6)))],
    )
    assert found.kinds == ["MatMul", "Softmax", "MatMul"]
    assert [i.name for i in found.model.graph.input] == ["q", "k", "v", "mask"]
    assert found.distance < CLOSE


def test_without_a_promise_a_needed_guard_stays(rewritten: Rewritten) -> None:
    found = rewritten(TEXT, partial(drop_masks, constant_inputs={}), weights=WEIGHTS)
    assert not found.tally.modified
    assert "needed" in next(iter(found.tally.left))


@pytest.mark.parametrize("mask", [np.ones((1, 1, 1, 6)), np.zeros((1, 1, 1, 6))])
def test_a_guard_after_a_finite_mask_goes_without_a_promise(
    rewritten: Rewritten, mask: np.ndarray
) -> None:
    text = TEXT.replace("zero, low)", "zero, finite)")
    found = rewritten(
        text, partial(drop_masks, constant_inputs={}), weights=WEIGHTS, feeds=[feeds(mask)]
    )
    assert found.tally.changed == {"dead NaN guard dropped": 1}
    assert found.distance < CLOSE


def test_a_promise_that_hides_everything_keeps_the_guard(rewritten: Rewritten) -> None:
    found = rewritten(
        TEXT,
        partial(drop_masks, constant_inputs={"mask": 0.0}),
        weights=WEIGHTS,
        feeds=[feeds(np.zeros((1, 1, 1, 6)))],
    )
    assert "IsNaN" in found.kinds
    assert found.distance < CLOSE
