"""Swaps the keys of an int8 attention where OpenVINO can do it inside the product."""

from __future__ import annotations

from typing import Any

import numpy as np

LEAST_SIZE = 64  # of a head; on smaller ones the product lost by it as much as was saved (AMX)
_SWAPPED = [0, 2, 3, 1]  # (batch, tokens, heads, size) to (batch, heads, size, tokens) at once
_WHOLE, _LAST = [0, 2, 1, 3], [0, 1, 3, 2]
_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Split", "VariadicSplit"})


def late_swaps(model: Any) -> int:
    """Transpose int8 keys in two steps: heads as wholes first, then size against tokens.

    OpenVINO takes the second step into the product that follows. In one step it carries the
    transpose out byte by byte, which was 4 % of BERT-base in int8. In floating point its
    attention kernel takes the one step in as well, so nothing is done there.

    Returns:
        How many were parted. The model is changed in place; its outputs stay the same.
    """
    swaps = [node for node in model.get_ordered_ops() if _is_swap_of_keys(node)]
    for node in swaps:
        _part(node)
    if swaps:
        model.validate_nodes_and_infer_types()
    return len(swaps)


def _is_swap_of_keys(node: Any) -> bool:
    if node.get_type_name() != "Transpose" or not node.get_output_partial_shape(0).is_static:
        return False
    order = node.input_value(1).get_node()
    if order.get_type_name() != "Constant" or order.data.ravel().tolist() != _SWAPPED:
        return False
    if node.get_output_shape(0)[2] < LEAST_SIZE or not _is_int8(node.input_value(0).get_node()):
        return False
    return all(map(_takes_it_second, node.output(0).get_target_inputs()))


def _is_int8(node: Any) -> bool:
    while node.get_type_name() in _VIEWS:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "FakeQuantize")


def _takes_it_second(reader: Any) -> bool:
    node = reader.get_node()
    return (
        node.get_type_name() == "MatMul"
        and reader.get_index() == 1
        and not node.get_attributes()["transpose_b"]
    )


def _part(node: Any) -> None:
    from openvino import opset13 as op

    whole = op.transpose(node.input_value(0), op.constant(np.asarray(_WHOLE)))
    last = op.transpose(whole, op.constant(np.asarray(_LAST)))
    for reader in list(node.output(0).get_target_inputs()):
        reader.replace_source_output(last.output(0))
    name = node.get_friendly_name()
    whole.set_friendly_name(f"{name}/whole")
    last.set_friendly_name(name)
    last.output(0).set_names(node.output(0).get_names())
