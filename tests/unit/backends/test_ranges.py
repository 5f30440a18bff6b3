"""The range of an attention's result stands behind the change of layout, with the same outputs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from openvino import opset13 as op  # noqa: E402

from fitwright.backends.openvino.ranges import late_ranges  # noqa: E402

ORDER = np.asarray([0, 2, 1, 3])


def attention(
    *, levels_of: tuple[int, ...] = (), second_reader: bool = False, is_output: bool = False
):
    """(1, 2, 6, 4) three times to (1, 6, 8), with an int8 range on the result."""
    q, k, v = (op.parameter([1, 2, 6, 4], name=name) for name in "qkv")
    weights = op.softmax(op.matmul(q, k, False, True), -1)
    product = op.matmul(weights, v, False, False)
    low, high = (op.constant(np.full(levels_of, x, np.float32)) for x in (-1.0, 0.75))
    ranged = op.fake_quantize(product, low, high, low, high, 256)
    ranged.set_friendly_name("range")
    flat = op.reshape(op.transpose(ranged, op.constant(ORDER)), op.constant([1, 6, 8]), False)
    last = op.matmul(flat, op.constant(np.eye(8, dtype=np.float32)), False, False)
    outputs = [flat if is_output else last]
    if second_reader:
        outputs.append(op.relu(ranged))
    return openvino.Model(outputs, [q, k, v], "attention")


def kinds_after(model) -> list[str]:
    """What follows the second product, one after the other."""
    node = next(n for n in model.get_ordered_ops() if n.get_type_name() == "Softmax")
    found = []
    while (targets := list(node.output(0).get_target_inputs())) and len(found) < 5:
        node = targets[0].get_node()
        found.append(node.get_type_name())
    return found


def answer(model) -> np.ndarray:
    draw = np.random.default_rng(0)
    inputs = {name: draw.normal(size=(1, 2, 6, 4)).astype(np.float32) for name in "qkv"}
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", precise)
    return np.array(compiled(list(inputs.values()))[0])


def test_it_moves_and_nothing_else_changes() -> None:
    model = attention()
    before, kinds = answer(model), Counter(n.get_type_name() for n in model.get_ops())
    assert late_ranges(model) == 1
    assert kinds_after(model) == ["MatMul", "Transpose", "Reshape", "FakeQuantize", "MatMul"]
    assert Counter(n.get_type_name() for n in model.get_ops()) == kinds
    # one step of the range: a sum in another order may round a value to its neighbour
    np.testing.assert_allclose(answer(model), before, atol=1.75 / 255 + 1e-6)
    assert np.mean(np.isclose(answer(model), before, atol=1e-5)) > 0.9
    assert late_ranges(model) == 0


@pytest.mark.parametrize(
    "model",
    [
        attention(levels_of=(1, 2, 1, 1)),
        attention(second_reader=True),
        attention(is_output=True),
    ],
    ids=["an interval per head", "read elsewhere too", "the model's output"],
)
def test_it_stays_where_the_outputs_could_change_or_two_would_be_needed(model) -> None:
    assert late_ranges(model) == 0
    assert kinds_after(model)[:2] == ["MatMul", "FakeQuantize"]
