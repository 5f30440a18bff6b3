"""Between integers and floats. Quantised products are with their families."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule


def quantize(op: Operator) -> Cost:
    """round(x / scale) + zero point, clipped: 3 FLOP, 4 with a zero point."""
    return Cost(elementwise_flops=(3 + op.has(2)) * op.size(0))


def dequantize(op: Operator) -> Cost:
    """(x - zero point) * scale: 1 FLOP, 2 with a zero point."""
    return Cost(elementwise_flops=(1 + op.has(2)) * op.out_size())


def dynamic_quantize(op: Operator) -> Cost:
    """Minimum and maximum over the input, then quantise: 6 FLOP per element."""
    return Cost(elementwise_flops=6 * op.size(0))


def gather_block(op: Operator) -> Cost:
    """Rows of a block-quantised table, widened: 2 FLOP per element; reads what it gathers."""
    table, out = op.input(0), op.out_size()
    share = table.bytes * out // max(op.size(0), 1)
    return Cost(elementwise_flops=2 * out, bytes_read=min(share, table.bytes) + op.input(1).bytes)


def qlinear_concat(op: Operator) -> Cost:
    """Each element is brought to the output's scale: 5 FLOP."""
    return Cost(elementwise_flops=5 * op.out_size())


RULES: Mapping[Key, Rule] = {
    ("", "QuantizeLinear"): quantize,
    ("", "DequantizeLinear"): dequantize,
    ("", "DynamicQuantizeLinear"): dynamic_quantize,
    ("com.microsoft", "QuantizeLinear"): quantize,
    ("com.microsoft", "DequantizeLinear"): dequantize,
    ("com.microsoft", "GatherBlockQuantized"): gather_block,
    ("com.microsoft", "QLinearConcat"): qlinear_concat,
}
