"""Embedding tables in int8: close to the original, a quarter of the size, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.backends.onnxruntime import int8
from fitwright.backends.onnxruntime.tables import SMALLEST, quantise_tables
from fitwright.records.device import Device

ROWS, WIDTH = SMALLEST // 32, 32
IDS = np.array([[0, 3, 3, ROWS - 1], [7, 1, -1, 5]], np.int64)


def tagger(*, rows: int = ROWS, axis: int = 0, also: str = "") -> onnx.ModelProto:
    """Rows of a table of columns of very different size, then a product."""
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(rows, WIDTH)) * 10.0 ** rng.integers(-2, 2, WIDTH)).astype(np.float32)
    table[:, 1] = 0
    weights = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(rng.normal(size=(WIDTH, 64)).astype(np.float32), "w"),
    ]
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"], axis=axis)]
    if not axis:
        nodes.append(helper.make_node("MatMul", ["rows", "w"], ["y"]))
    ends = ["y"] if not axis else ["rows"]
    if also:
        nodes.append(helper.make_node(also, ["table"], ["other"]))
        ends.append("other")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [2, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model: onnx.ModelProto) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return list(session.run(None, {"ids": IDS}))


def test_rows_are_off_by_half_a_scale_of_their_column_at_most() -> None:
    model = tagger()
    model.graph.output.append(helper.make_tensor_value_info("rows", TensorProto.FLOAT, None))
    table = numpy_helper.to_array(model.graph.initializer[0])
    assert quantise_tables(model) == 1
    (rows,) = answers(model)[1:]
    half = np.abs(table).max(axis=0) / 254
    assert np.all(np.abs(rows - table[IDS]) <= half * 1.001)
    assert np.any(rows != table[IDS])


def test_openvino_reads_it_too() -> None:
    model = tagger()
    quantise_tables(model)
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(model.SerializeToString()),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    (told,) = compiled({"ids": IDS}).values()
    (expected,) = answers(model)
    assert told == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_two_readers_share_one_table() -> None:
    model = tagger()
    model.graph.node.append(helper.make_node("Gather", ["table", "ids"], ["again"]))
    model.graph.output.append(helper.make_tensor_value_info("again", TensorProto.FLOAT, None))
    assert quantise_tables(model) == 1
    assert [w.name for w in model.graph.initializer] == ["w", "table_int8", "table_scale"]
    assert len(answers(model)) == 2


@pytest.mark.parametrize(
    "model",
    [tagger(rows=ROWS // 2), tagger(axis=1), tagger(also="Transpose")],
    ids=["small", "columns", "read by another"],
)
def test_what_is_no_table_stays(model: onnx.ModelProto) -> None:
    before = model.SerializeToString()
    assert quantise_tables(model) == 0
    assert model.SerializeToString() == before


def test_a_table_that_is_an_input_or_an_output_stays() -> None:
    for ends in ("input", "output"):
        model = tagger()
        table = helper.make_tensor_value_info("table", TensorProto.FLOAT, [ROWS, WIDTH])
        getattr(model.graph, ends).append(table)
        assert quantise_tables(model) == 0


def test_a_model_of_an_old_opset_stays() -> None:
    model = tagger()
    model.opset_import[0].version = 12
    assert quantise_tables(model) == 0


def test_dynamic_int8_shrinks_tables(tmp_path: Path, device: Device) -> None:
    model, out = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(tagger(), model)
    notes = int8.quantise_dynamic(model, out, device=device, per_channel=True)
    assert "embedding tables in int8: 1" in notes
    assert out.stat().st_size < 0.3 * model.stat().st_size
    (told,), (expected,) = answers(onnx.load(out)), answers(onnx.load(model))
    assert np.linalg.norm(told - expected) < 0.02 * np.linalg.norm(expected)
