"""Puts int8 ranges where OpenVINO can fuse what stands before them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fitwright.backends.openvino.keep import constant_nodes

_PRODUCTS = frozenset({"MatMul", "ScaledDotProductAttention"})


def late_ranges(model: Any) -> int:
    """Move the range of an attention's result behind the layout change that follows it.

    NNCF puts it on the result itself. OpenVINO fuses product, softmax, product and the
    transpose after them into one kernel, but not with a range in between. A range of one
    interval commutes with any change of layout, so the outputs stay the same.

    Returns:
        How many were moved. The model is changed in place.
    """
    constants = constant_nodes(model)
    ranges = [node for node in model.get_ordered_ops() if _is_movable(node, constants)]
    moved = sum(_moved(node) for node in ranges)
    if moved:
        model.validate_nodes_and_infer_types()
    return moved


def _is_movable(node: Any, constants: Collection[str]) -> bool:
    if node.get_type_name() != "FakeQuantize":
        return False
    product, *ends = (value.get_node() for value in node.input_values())
    if product.get_type_name() not in _PRODUCTS:
        return False
    operands = {str(v.get_node().get_friendly_name()) for v in product.input_values()[:2]}
    one_interval = all(
        list(end.get_output_shape(0)).count(1) == len(end.get_output_shape(0)) for end in ends
    )
    return one_interval and operands.isdisjoint(constants)


def _moved(fake_quantize: Any) -> bool:
    transpose = _only_reader(fake_quantize, "Transpose")
    if transpose is None:
        return False
    reshape = _only_reader(transpose, "Reshape")
    last = transpose if reshape is None else reshape
    readers = list(last.output(0).get_target_inputs())
    if any(reader.get_node().get_type_name() == "Result" for reader in readers):
        return False  # an output of the model keeps the node that names it
    transpose.input(0).replace_source_output(fake_quantize.input_value(0))
    fake_quantize.input(0).replace_source_output(last.output(0))
    for reader in readers:
        reader.replace_source_output(fake_quantize.output(0))
    return True


def _only_reader(node: Any, kind: str) -> Any | None:
    """The one node that reads this one, when it is of that kind and reads it as its data."""
    targets = list(node.output(0).get_target_inputs())
    if len(targets) != 1 or targets[0].get_index() != 0:
        return None
    reader = targets[0].get_node()
    return reader if reader.get_type_name() == kind else None
