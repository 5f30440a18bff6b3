"""Attention scores taken apart: the product of queries and keys, its scale, its masks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from fitwright.graph.rewrite.edit import sizes
from fitwright.graph.rewrite.masks import additive_of_where
from fitwright.graph.rewrite.match import array, is_standard, number, producer


@dataclass(frozen=True, kw_only=True)
class Scores:
    """scale * product + masks, as a softmax reads it."""

    product: ir.Node
    scale: float
    masks: tuple[ir.Value, ...]


def taken_apart(value: ir.Value | None) -> Scores | str:
    """The parts of the scores, or why they are not a product of queries and keys."""
    masks: list[ir.Value] = []
    scale = 1.0
    while value is not None and (node := value.producer()) is not None:
        if value.is_graph_output() or len(value.uses()) > 1:
            return "scores that are read elsewhere"
        if is_standard(node, "MatMul"):
            return Scores(product=node, scale=scale, masks=tuple(masks))
        inner, factor = unscaled(value)
        if inner is not value:
            value, scale = inner, scale * factor
            continue
        if not is_standard(node, "Add", "Where"):
            break
        if not math.isclose(scale, 1.0):
            return "scores that are scaled after the mask is added"
        behind = additive_of_where(node) if node.op_type == "Where" else _unmasked(node)
        if behind is None:
            return "scores hidden or shifted by what is known only at run time"
        value, mask = behind
        masks.append(mask)
    return "a softmax over something else than scores of queries against keys"


def unscaled(value: ir.Value | None) -> tuple[ir.Value | None, float]:
    """The value before it is multiplied or divided by numbers, and their product."""
    factor = 1.0
    while (node := producer(value, "Mul", "Div")) is not None:
        left, right = node.inputs
        by = number(right)
        if by is not None and (node.op_type == "Mul" or by):
            value, factor = left, factor * by if node.op_type == "Mul" else factor / by
        elif node.op_type == "Mul" and (by := number(left)) is not None:
            value, factor = right, factor * by
        else:
            break
    return value, factor


def _unmasked(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """(scores, mask) of an addition: the scores lead back to a product of two activations."""
    left, right = node.inputs
    if left is None or right is None:
        return None
    whole = sizes(node.outputs[0])
    for scores, mask in ((left, right), (right, left)):
        if sizes(scores) == whole and _leads_to_product(scores):
            return scores, mask
    return None


def _leads_to_product(value: ir.Value | None) -> bool:
    node = producer(value, "MatMul", "Mul", "Div", "Add", "Where")
    if node is None or array(value) is not None:
        return False
    if node.op_type == "MatMul":
        return all(array(operand) is None for operand in node.inputs)
    operands = node.inputs[1:] if node.op_type == "Where" else node.inputs
    return any(_leads_to_product(operand) for operand in operands)
