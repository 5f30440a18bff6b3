"""int8 keys are swapped in two steps, with the same outputs; nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from openvino import opset13 as op  # noqa: E402

from fitwright.backends.openvino.swaps import LEAST_SIZE, late_swaps  # noqa: E402

TOKENS, HEADS = 6, 2


def scores(
    *,
    size: int = LEAST_SIZE,
    order: tuple[int, ...] = (0, 2, 3, 1),
    in_int8: bool = True,
    read_elsewhere: bool = False,
):
    """Q K^T of (1, tokens, heads * size) both, K perhaps with an int8 range."""
    q, k = (op.parameter([1, TOKENS, HEADS * size], name=name) for name in "qk")
    low, high = (op.constant(np.asarray(x, np.float32)) for x in (-3.0, 2.9765625))
    ranged = op.fake_quantize(k, low, high, low, high, 256) if in_int8 else k
    apart = op.constant(np.asarray([1, TOKENS, HEADS, size]))
    keys = op.transpose(op.reshape(ranged, apart, False), op.constant(np.asarray(order)))
    keys.set_friendly_name("keys")
    keys.output(0).set_names({"keys_tensor"})
    queries = op.transpose(op.reshape(q, apart, False), op.constant(np.asarray([0, 2, 1, 3])))
    outputs = [op.matmul(queries, keys, False, order != (0, 2, 3, 1))]
    if read_elsewhere:
        outputs.append(op.relu(keys))
    return openvino.Model(outputs, [q, k], "scores")


def answer(model, size: int = LEAST_SIZE) -> np.ndarray:
    draw = np.random.default_rng(0)
    inputs = [draw.normal(size=(1, TOKENS, HEADS * size)).astype(np.float32) for _ in "qk"]
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    return np.array(openvino.Core().compile_model(model, "CPU", precise)(inputs)[0])


def orders(model) -> list[list[int]]:
    """Of the transposes in front of the product's second operand, the first one first."""
    product = next(n for n in model.get_ordered_ops() if n.get_type_name() == "MatMul")
    node, found = product.input_value(1).get_node(), []
    while node.get_type_name() == "Transpose":
        found.insert(0, node.input_value(1).get_node().data.tolist())
        node = node.input_value(0).get_node()
    return found


def test_keys_in_int8_are_swapped_last_and_the_outputs_stay() -> None:
    model = scores()
    before = answer(model)
    assert late_swaps(model) == 1
    assert orders(model) == [[0, 2, 1, 3], [0, 1, 3, 2]]
    np.testing.assert_allclose(answer(model), before, rtol=1e-5, atol=1e-4)
    assert late_swaps(model) == 0


def test_the_name_of_the_tensor_stays_with_what_is_read() -> None:
    model = scores()
    late_swaps(model)
    product = next(n for n in model.get_ordered_ops() if n.get_type_name() == "MatMul")
    assert product.input_value(1).get_names() == {"keys_tensor"}
    assert product.input_value(1).get_node().get_friendly_name() == "keys"


@pytest.mark.parametrize(
    "model",
    [
        scores(size=LEAST_SIZE // 2),
        scores(in_int8=False),
        scores(order=(0, 2, 1, 3)),
        scores(read_elsewhere=True),
    ],
    ids=["small heads", "in float", "swapped by the product already", "read elsewhere too"],
)
def test_it_stays_as_it_is_where_nothing_is_to_be_gained(model) -> None:
    before = orders(model)
    assert late_swaps(model) == 0
    assert orders(model) == before
