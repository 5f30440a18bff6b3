"""Outputs have the shapes that the model declares, whatever compiling made of them."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from openvino import opset13 as op  # noqa: E402

from fitwright.backends.openvino.runtime import OpenVinoSession, lost_shapes  # noqa: E402


def model(*shape: int):
    """Doubles x of shape (2, 3), as an output of that many elements."""
    x = op.parameter([2, 3], name="x")
    y = op.reshape(op.multiply(x, np.float32(2)), op.constant(np.asarray(shape)), False)
    y.output(0).set_names({"y"})
    return openvino.Model([y], [x], "doubling")


def test_an_axis_that_compiling_gave_back_is_dropped_again() -> None:
    compiled = openvino.Core().compile_model(model(1, 2, 3), "CPU")
    shapes = lost_shapes(model(2, 3), compiled)
    assert shapes == {0: (2, 3)}
    session = OpenVinoSession(compiled, version="", shapes=shapes)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x)


def test_shapes_that_compiling_left_alone_are_not_touched() -> None:
    compiled = openvino.Core().compile_model(model(1, 2, 3), "CPU")
    assert lost_shapes(model(1, 2, 3), compiled) == {}
