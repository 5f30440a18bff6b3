"""How symbolic dimensions get their sizes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from fitwright.errors import ModelRefused

node = helper.make_node


def relu(build, *shape: int | str | None):
    return build.model([node("Relu", ["x"], ["y"])], {"x": shape}, ["y"])


@pytest.mark.parametrize(
    ("shape", "bound", "bindings"),
    [
        ((2, 3), (2, 3), {}),
        (("batch", 3), (7, 3), {"batch": 7}),
        (("whatever", 3), (7, 3), {"whatever": 7}),
        ((3, "N"), (3, 7), {"N": 7}),
        ((None, 3), (7, 3), {"x:0": 7}),
        (("seq", "batch_size"), (5, 7), {"seq": 5, "batch_size": 7}),
        (("batch", "seq"), (7, 5), {"batch": 7, "seq": 5}),
        ((-1, 3), (7, 3), {"x:0": 7}),
    ],
    ids=str,
)
def test_dimensions_are_bound_by_name_or_as_the_batch(shape, bound, bindings, build) -> None:
    summary = build.summary(relu(build, *shape), batch=7, seq=5)
    assert summary.inputs[0].shape == bound
    assert summary.outputs[0].shape == bound
    assert summary.bindings == bindings


@pytest.mark.parametrize(
    ("shape", "sizes", "batchable"),
    [
        (("batch", 3), {}, True),
        ((None, 3), {}, True),
        (("batch", 3), {"batch": 2}, True),
        (("tokens", 3), {"tokens": 2}, False),
        ((1, 3), {}, False),
        ((3, "batch"), {}, False),
        ((), {}, False),
    ],
    ids=str,
)
def test_queries_stack_where_inputs_open_with_a_free_axis(shape, sizes, batchable, build) -> None:
    assert build.summary(relu(build, *shape), **sizes).is_batchable == batchable


def test_queries_do_not_stack_where_an_output_opens_with_another_axis(build) -> None:
    turned = [node("Transpose", ["x"], ["y"], perm=[1, 0])]
    assert not build.summary(build.model(turned, {"x": ("batch", 3)}, ["y"])).is_batchable
    both = [node("Add", ["x", "z"], ["y"])]
    inputs = {"x": ("batch", 3), "z": (1, 3)}
    assert not build.summary(build.model(both, inputs, ["y"])).is_batchable


def test_the_contract_may_name_the_batch_dimension_itself(build) -> None:
    model = relu(build, "n", 3)
    assert build.summary(model, batch=7, n=2).inputs[0].shape == (2, 3)


def test_an_unbound_symbol_is_refused_with_the_line_to_add(build) -> None:
    with pytest.raises(ModelRefused) as caught:
        build.summary(relu(build, "batch", "seq"))
    assert caught.value.code == "FW231"
    assert "'seq'" in caught.value.rule
    assert "shapes: {seq: 128}" in caught.value.remedy


def test_a_free_dimension_without_a_name_is_refused(build) -> None:
    with pytest.raises(ModelRefused) as caught:
        build.summary(relu(build, 1, None))
    assert caught.value.code == "FW232"


def test_an_input_without_a_rank_is_refused(build) -> None:
    model = relu(build, 1)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelRefused) as caught:
        build.summary(model)
    assert caught.value.code == "FW232"


def test_inputs_and_outputs_must_be_tensors(build) -> None:
    model = build.model([node("SequenceConstruct", ["x"], ["s"])], {"x": [1]}, ["s"], opset=21)
    sequence = helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    )
    model.graph.output[0].type.CopyFrom(sequence)
    with pytest.raises(ModelRefused) as caught:
        build.summary(model)
    assert caught.value.code == "FW233"


def test_a_weight_that_is_listed_as_an_input_is_not_one(build) -> None:
    model = build.model(
        [node("Add", ["x", "w"], ["y"])],
        {"x": ["b", 2], "w": [2]},
        ["y"],
        {"w": np.zeros(2, np.float32)},
        ir_version=3,
        opset=8,
    )
    assert [i.name for i in build.summary(model).inputs] == ["x"]
