"""What may ship: interface, versions, domains; and when folding is dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from fitwright.backends.onnxruntime.fold import fold_constants
from fitwright.backends.onnxruntime.int8 import prepare
from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.errors import ModelRefused
from fitwright.records.model import ModelSummary

Build = Callable[..., Path]
SummaryOf = Callable[[Path], ModelSummary]


def edited(model: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    proto = onnx.load(model)
    change(proto)
    out = model.with_name("edited.onnx")
    onnx.save(proto, out)
    return out


def test_operator_sets_without_an_operator_go(build: Build, summary_of: SummaryOf) -> None:
    model = build("mlp")
    out = edited(model, lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)))
    assert settled(summary_of(model), out) == ("onnxruntime", "openvino")
    assert [o.domain for o in onnx.load(out).opset_import] == [""]


def test_a_foreign_operator_keeps_the_model_to_onnxruntime(
    build: Build, summary_of: SummaryOf
) -> None:
    def foreign(model: onnx.ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        relu = next(n for n in model.graph.node if n.op_type == "Relu")
        relu.op_type, relu.domain = "QuickGelu", "com.microsoft"

    model = build("mlp")
    assert settled(summary_of(model), edited(model, foreign)) == ("onnxruntime",)


def test_the_file_version_is_one_that_can_be_read_back(build: Build, summary_of: SummaryOf) -> None:
    model = build("mlp")
    out = edited(model, lambda m: setattr(m, "ir_version", 14))
    settled(summary_of(model), out)
    assert onnx.load(out).ir_version == 13


def test_a_changed_interface_may_not_ship(build: Build, summary_of: SummaryOf) -> None:
    def renamed(model: onnx.ModelProto) -> None:
        model.graph.node[-1].output[0] = model.graph.output[0].name = "z"

    model = build("mlp")
    with pytest.raises(ModelRefused, match="changed inputs or outputs") as caught:
        settled(summary_of(model), edited(model, renamed))
    assert caught.value.code == "FW240"


def test_an_operator_set_nobody_reads_may_not_ship(build: Build, summary_of: SummaryOf) -> None:
    model = build("mlp")
    out = edited(model, lambda m: setattr(m.opset_import[0], "version", 27))
    with pytest.raises(ModelRefused, match="opset 27") as caught:
        settled(summary_of(model), out)
    assert caught.value.code == "FW241"


def _tiled(path: Path, repeats: int) -> Path:
    """x + Tile(constant), which folding turns into a large constant."""
    graph = helper.make_graph(
        [
            helper.make_node("Tile", ["c", "n"], ["t"]),
            helper.make_node("Add", ["x", "t"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000 * repeats])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000 * repeats])],
        [
            numpy_helper.from_array(np.ones(1000, np.float32), "c"),
            numpy_helper.from_array(np.array([repeats]), "n"),
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def test_folding_is_dropped_when_the_file_would_grow(tmp_path: Path) -> None:
    # 64 KiB and 5 % of growth are allowed: 2 000 floats fit, 200 000 do not.
    small, large = (_tiled(tmp_path / f"{n}.onnx", n) for n in (2, 200))
    out = tmp_path / "out.onnx"
    assert fold_constants(small, out) is None
    assert [n.op_type for n in onnx.load(out).graph.node] == ["Add"]
    out.unlink()
    assert "the file would grow" in str(fold_constants(large, out))
    assert not out.exists()


def test_constants_that_folding_made_up_cannot_be_made_up_again(tmp_path: Path) -> None:
    """ONNX Runtime writes MatMul and Add of three axes as Reshape, Gemm, Reshape, with shapes
    under names that it would use again for the next such place."""
    draw = np.random.default_rng(0)
    weights = {"w": (4, 4), "b": (4,)}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "b"], ["a"]),
            helper.make_node("Relu", ["a"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 4])],
        [
            numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    model, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), model)
    assert fold_constants(model, out) is None
    folded = onnx.load(out).graph
    assert "Gemm" in {node.op_type for node in folded.node}
    made_up = {t.name for t in folded.initializer} - weights.keys()
    assert made_up and all(name.startswith("folded_") for name in made_up)
    x = draw.standard_normal((2, 3, 4)).astype(np.float32)
    before, after = (ort.InferenceSession(f).run(None, {"x": x})[0] for f in (model, out))
    np.testing.assert_allclose(before, after, rtol=1e-5)  # the same products, summed otherwise


def test_a_model_onnxruntime_cannot_load_is_not_folded(tmp_path: Path) -> None:
    model = _tiled(tmp_path / "m.onnx", 2)
    broken = edited(model, lambda m: m.graph.node[0].input.__setitem__(0, "nobody"))
    why = fold_constants(broken, tmp_path / "out.onnx")
    assert why is not None and why.startswith("constants not folded: ")
    assert not (tmp_path / "out.onnx").exists()


def test_old_operator_sets_are_raised_before_quantising(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 8])],
        [numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")],
    )
    old = tmp_path / "old.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), old
    )
    prepared, notes = prepare(old, tmp_path)
    assert onnx.load(prepared).opset_import[0].version == 13
    assert notes == ("opset raised from 11 to 13, for one scale per channel",)


def test_external_weights_are_measured_where_they_lie(tmp_path: Path) -> None:
    model = onnx.load(_tiled(tmp_path / "m.onnx", 2))
    onnx.save(
        model, tmp_path / "e.onnx", save_as_external_data=True, location="e.data", size_threshold=64
    )
    out = tmp_path / "out.onnx"
    assert fold_constants(tmp_path / "e.onnx", out) is None
    assert sorted(f.name for f in tmp_path.glob("out*")) == ["out.onnx"]
