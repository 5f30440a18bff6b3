"""Edits keep what the model computes: shown by running it before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fitwright.errors import ModelRefused, StorageError
from fitwright.graph import write
from fitwright.graph.build import matmul_model
from fitwright.graph.fix_shapes import fix_shapes
from fitwright.graph.read import read_model
from fitwright.graph.summary import summarize
from fitwright.graph.weights import weights_to_fp16

node = helper.make_node


def run(path: Path, **inputs: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def network(build) -> Path:
    draw = np.random.default_rng(0)
    nodes = [
        node("Identity", ["x"], ["i"]),
        node("MatMul", ["i", "w"], ["h"]),
        node("Dropout", ["h"], ["d"]),
        node("Relu", ["d"], ["y"]),
        node("Exp", ["h"], ["dead"]),
    ]
    weights = {
        "w": draw.standard_normal((32, 16)).astype(np.float32),
        "unused": np.zeros(1000, np.float32),
    }
    return build.save(build.model(nodes, {"x": ["batch", 32]}, ["y"], weights))


def test_fixing_shapes_drops_what_no_output_needs_and_keeps_the_output(build, tmp_path) -> None:
    path, out = network(build), tmp_path / "fixed.onnx"
    summary = summarize(path, shapes={}, batch=3)
    assert fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs)
    fixed = read_model(out)
    assert [n.op_type for n in fixed.graph.node] == ["MatMul", "Relu"]
    assert [t.name for t in fixed.graph.initializer] == ["w"]
    assert [d.dim_value for d in fixed.graph.input[0].type.tensor_type.shape.dim] == [3, 32]
    x = np.random.default_rng(1).standard_normal((3, 32)).astype(np.float32)
    # exact: only nodes that copy or do nothing were removed
    np.testing.assert_array_equal(run(path, x=x)[0], run(out, x=x)[0])


def test_a_model_for_several_queries_computes_each_of_them(build, tmp_path) -> None:
    path, out = network(build), tmp_path / "fixed.onnx"
    summary = summarize(path, shapes={}, batch=3)
    fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs, batch=4)
    fixed = read_model(out)
    assert [d.dim_value for d in fixed.graph.input[0].type.tensor_type.shape.dim] == [12, 32]
    x = np.random.default_rng(1).standard_normal((4, 3, 32)).astype(np.float32)
    each = np.concatenate([run(path, x=one)[0] for one in x])
    # larger products may add in another order
    np.testing.assert_allclose(run(out, x=np.concatenate(list(x)))[0], each, atol=1e-5)


def test_shapes_stated_beside_weights_are_not_written(build, tmp_path) -> None:
    path, out = network(build), tmp_path / "fixed.onnx"
    model = onnx.load(path)
    stated = [helper.make_tensor_value_info("w", TensorProto.FLOAT, [32, 16])]
    stated.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["batch", 16]))
    model.graph.value_info.extend(stated)
    onnx.save(model, path)
    summary = summarize(path, shapes={}, batch=3)
    fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs)
    assert [v.name for v in onnx.load(out).graph.value_info] == ["h"]
    x = np.ones((3, 32), np.float32)
    np.testing.assert_array_equal(run(path, x=x)[0], run(out, x=x)[0])


def test_fixing_a_fixed_model_changes_nothing(build, tmp_path) -> None:
    path, once, twice = network(build), tmp_path / "a.onnx", tmp_path / "b.onnx"
    summary = summarize(path, shapes={}, batch=3)
    fix_shapes(path, once, bindings=summary.bindings, inputs=summary.inputs)
    again = summarize(once, shapes={}, batch=1)
    assert again.inputs == summary.inputs
    assert not fix_shapes(once, twice, bindings=again.bindings, inputs=again.inputs)
    assert read_model(once) == read_model(twice)


def test_bound_symbols_vanish_from_every_stated_shape(build, tmp_path) -> None:
    model = build.model(
        [node("Relu", ["x"], ["h"]), node("Relu", ["h"], ["y"])], {"x": ["b", "s"]}, ["y"]
    )
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["b", "s"]))
    path = build.save(model)
    summary = summarize(path, shapes={"s": 5}, batch=2)
    out = tmp_path / "fixed.onnx"
    fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs)
    text = str(onnx.load(out).graph)
    assert "dim_param" not in text


def test_dropout_that_may_train_or_whose_mask_is_used_stays(build, tmp_path) -> None:
    nodes = [
        node("Dropout", ["x", "", "train"], ["a"]),
        node("Dropout", ["a"], ["b", "mask"]),
        node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        node("Add", ["b", "m"], ["y"]),
    ]
    path = build.save(build.model(nodes, {"x": [4]}, ["y"], {"train": np.array(True)}))
    out = tmp_path / "fixed.onnx"
    summary = summarize(path, shapes={}, batch=1)
    fix_shapes(path, out, bindings={}, inputs=summary.inputs)
    assert [n.op_type for n in read_model(out).graph.node].count("Dropout") == 2


def test_old_weights_that_are_inputs_become_constants(build, tmp_path) -> None:
    model = build.model(
        [node("Add", ["x", "w"], ["y"])],
        {"x": ["b", 2], "w": [2]},
        ["y"],
        {"w": np.ones(2, np.float32)},
        ir_version=3,
        opset=8,
    )
    path, out = build.save(model), tmp_path / "fixed.onnx"
    summary = summarize(path, shapes={}, batch=1)
    assert fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs)
    assert [i.name for i in onnx.load(out).graph.input] == ["x"]
    x = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(run(out, x=x)[0], [[2, 3]])


def test_narrow_weights_halve_the_file_and_stay_close(build, tmp_path) -> None:
    path, out = network(build), tmp_path / "half.onnx"
    notes = weights_to_fp16(path, out)
    assert notes == ("2 of 2 float32 weights narrowed",)
    stored = {t.name: t.data_type for t in read_model(out).graph.initializer}
    assert stored["w_fp16"] == TensorProto.FLOAT16
    x = np.random.default_rng(1).standard_normal((3, 32)).astype(np.float32)
    # float16 keeps 11 bits: relative rounding 2**-11 per weight, sums of 32 terms near 1
    np.testing.assert_allclose(run(path, x=x)[0], run(out, x=x)[0], atol=32 * 2**-11)


def test_weights_beyond_float16_stay_and_are_named(build, tmp_path) -> None:
    big = np.ones(300, np.float32)
    big[7] = 1e5
    nodes = [node("Mul", ["x", "big"], ["h"]), node("Mul", ["h", "fine"], ["y"])]
    weights = {"big": big, "fine": np.full(300, 0.5, np.float32)}
    path = build.save(build.model(nodes, {"x": [300]}, ["y"], weights))
    out = tmp_path / "half.onnx"
    notes = weights_to_fp16(path, out)
    assert notes[0] == "1 of 2 float32 weights narrowed"
    assert "big" in notes[1]
    x = np.ones(300, np.float32)
    # exact: 0.5 is a float16 number and the large weight was not touched
    np.testing.assert_array_equal(run(path, x=x)[0], run(out, x=x)[0])


def test_small_weights_and_integers_are_left_alone(build, tmp_path) -> None:
    path = build.save(
        build.model(
            [node("Add", ["x", "w"], ["y"])], {"x": [4]}, ["y"], {"w": np.zeros(4, np.float32)}
        )
    )
    assert weights_to_fp16(path, tmp_path / "o.onnx") == ("0 of 0 float32 weights narrowed",)


def test_a_weight_used_in_a_branch_is_narrowed_for_it_too(build, tmp_path) -> None:
    weight = np.full((32, 16), 0.25, np.float32)
    branch = helper.make_graph(
        [node("MatMul", ["x", "w"], ["b"])], "b", [], [onnx.ValueInfoProto(name="b")]
    )
    other = helper.make_graph(
        [node("MatMul", ["x", "v"], ["b"])], "b", [], [onnx.ValueInfoProto(name="b")]
    )
    choose = node("If", ["c"], ["y"], then_branch=branch, else_branch=other)
    weights = {"w": weight, "v": 2 * weight, "c": np.array(True)}
    model = build.model([choose], {"x": [1, 32]}, ["y"], weights)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16]))
    path, out = build.save(model), tmp_path / "half.onnx"
    assert weights_to_fp16(path, out) == ("2 of 2 float32 weights narrowed",)
    # exact: 32 * 0.25
    np.testing.assert_array_equal(run(out, x=np.ones((1, 32), np.float32))[0], np.full((1, 16), 8))


def test_large_weights_go_to_a_data_file_beside(build, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(write, "LARGEST_SINGLE_FILE_BYTES", 100)
    path, out = network(build), tmp_path / "out" / "fixed.onnx"
    out.parent.mkdir()
    summary = summarize(path, shapes={}, batch=3)
    fix_shapes(path, out, bindings=summary.bindings, inputs=summary.inputs)
    assert sorted(p.name for p in out.parent.iterdir()) == ["fixed.onnx", "fixed.onnx.data"]
    again = summarize(out, shapes={}, batch=1)
    assert again.flops == summary.flops
    x = np.ones((3, 32), np.float32)
    np.testing.assert_array_equal(run(path, x=x)[0], run(out, x=x)[0])


def test_a_write_that_fails_leaves_nothing_and_says_so(build, tmp_path) -> None:
    with pytest.raises(StorageError) as caught:
        weights_to_fp16(network(build), tmp_path / "no" / "folder.onnx")
    assert caught.value.code == "FW521"
    assert not (tmp_path / "no").exists()


def test_a_model_that_cannot_be_carried_over_is_refused_and_leaves_nothing(build, tmp_path) -> None:
    odd = node("Relu", ["x"], ["y"])
    odd.attribute.add(name="strange", type=onnx.AttributeProto.UNDEFINED)
    path, out = build.save(build.model([odd], {"x": [4]}, ["y"])), tmp_path / "out.onnx"
    with pytest.raises(ModelRefused) as caught:
        weights_to_fp16(path, out)
    assert caught.value.code == "FW234"
    assert not out.exists()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_probe_model_does_the_work_it_says(dtype, tmp_path) -> None:
    path = tmp_path / "probe.onnx"
    onnx.save(matmul_model(8, 32, 64, dtype=dtype), path)
    summary = summarize(path, shapes={}, batch=1)
    assert summary.flops == 2 * 8 * 32 * 64 * 4
    assert summary.uncounted == ()
    (y,) = run(path, x=np.random.default_rng(0).uniform(-1, 1, (8, 32)).astype(np.float32))
    assert y.shape == (8, 32)
    # neither saturated nor vanished: int8 clips at 1, float32 keeps variance near 1/3
    assert 0.2 < y.std() < 1.0


def test_int8_probes_store_their_weights_in_a_byte(tmp_path) -> None:
    stored = {t.name: t.data_type for t in matmul_model(8, 32, 64, dtype="int8").graph.initializer}
    assert [stored[f"w{i}"] for i in range(4)] == [TensorProto.INT8] * 4
