"""A sum and the Relu behind it share one int8 range, so ONNX Runtime runs no pair in between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.backends.onnxruntime import int8
from fitwright.backends.onnxruntime.ranges import one_range_each
from fitwright.records.device import Device

SHAPE = [1, 8, 16, 16]


def residual(*, outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    """A convolution, its input added, and a Relu; twice."""
    rng, nodes, weights = np.random.default_rng(0), [], []
    for name, read in (("first", "x"), ("second", "first")):
        values = rng.normal(size=(8, 8, 3, 3)).astype(np.float32) / 8
        weights.append(numpy_helper.from_array(values, f"{name}.w"))
        nodes += [
            helper.make_node("Conv", [read, f"{name}.w"], [f"{name}.conv"], pads=[1] * 4),
            helper.make_node("Add", [f"{name}.conv", read], [f"{name}.sum"]),
            helper.make_node("Relu", [f"{name}.sum"], [name]),
        ]
    nodes.append(helper.make_node("GlobalAveragePool", ["second"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def quantised(tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The model in int8, with the ranges as the quantiser put them unless `merged`."""

    def made(*, merged: bool, outputs: tuple[str, ...] = ("y",)) -> Path:
        model, samples = tmp_path / "float.onnx", tmp_path / "samples.npz"
        onnx.save(residual(outputs=outputs), model)
        np.savez(samples, x=np.random.default_rng(1).normal(size=(16, *SHAPE)).astype(np.float32))
        out = tmp_path / f"int8-{merged}.onnx"
        with monkeypatch.context() as patch:
            if not merged:
                patch.setattr(int8, "one_range_each", lambda _: 0)
            int8.quantise_static(
                model, out, calibration=samples, method="minmax", device=device, convolutional=True
            )
        return out

    return made


def executed(model: Path) -> Counter[str]:
    """What ONNX Runtime makes of the model."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(model.with_suffix(".executed.onnx"))
    options.log_severity_level = 3  # the file is for this machine only, which it warns of
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    return Counter(node.op_type for node in nodes)


def distance(model: Path, exact: Path) -> float:
    x = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    ours, theirs = (
        onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})
        for file in (model, exact)
    )
    return float(np.linalg.norm(ours[0] - theirs[0]) / np.linalg.norm(theirs[0]))


def test_no_pair_is_executed_between_a_sum_and_its_relu(quantised: Any, tmp_path: Path) -> None:
    before, after = quantised(merged=False), quantised(merged=True)
    assert executed(before)["QuantizeLinear"] == 2, "of the input and of what two nodes read"
    assert executed(after)["QuantizeLinear"] == executed(after)["DequantizeLinear"] == 1
    assert executed(after)["QLinearAdd"] == executed(before)["QLinearAdd"] == 2
    # rounded once less: nearer, but for the luck of the draw
    exact = tmp_path / "float.onnx"
    assert distance(after, exact) < 1.1 * distance(before, exact)
    assert one_range_each(onnx.load(after)) == 0


def test_a_sum_that_something_else_reads_keeps_its_range(quantised: Any) -> None:
    model = onnx.load(quantised(merged=False, outputs=("y", "first.sum")))
    kinds = Counter(node.op_type for node in model.graph.node)
    num = one_range_each(model)
    left = Counter(node.op_type for node in model.graph.node)
    assert kinds["QuantizeLinear"] - left["QuantizeLinear"] == num < 4
