"""Pooling: one operation per window element, and one more where the window is averaged."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule
from fitwright.graph.dtypes import num_elements


def window_pool(op: Operator) -> Cost:
    """MaxPool, AveragePool: window elements per output element."""
    per = num_elements(op.numbers("kernel_shape")) + ("Max" not in op.kind)
    return Cost(elementwise_flops=per * op.out_size())


def lp_pool(op: Operator) -> Cost:
    """Power and sum per window element, one root per output."""
    return Cost(
        elementwise_flops=(2 * num_elements(op.numbers("kernel_shape")) + 1) * op.out_size()
    )


def global_pool(op: Operator) -> Cost:
    """Every input element once; an average divides once per output."""
    per = 2 if op.kind == "GlobalLpPool" else 1
    return Cost(elementwise_flops=per * op.size(0) + op.out_size() * (op.kind != "GlobalMaxPool"))


def qlinear_pool(op: Operator) -> Cost:
    """Average in integers, then scale, round and clip."""
    whole = op.kind == "QLinearGlobalAveragePool"
    window = op.size(0) if whole else num_elements(op.numbers("kernel_shape")) * op.out_size()
    return Cost(elementwise_flops=window + 5 * op.out_size())


def max_unpool(op: Operator) -> Cost:
    """Puts each element in its place."""
    op.out_dims()
    return Cost()


def roi_align(op: Operator) -> Cost:
    """Bilinear samples, 8 FLOP each, averaged; an adaptive ratio is counted as 2 x 2."""
    ratio = op.number("sampling_ratio", 0) or 2
    return Cost(elementwise_flops=(9 * ratio * ratio + 1) * op.out_size())


def max_roi_pool(op: Operator) -> Cost:
    """At most every pixel of every region once: the input's plane per region and channel."""
    regions = op.dims(1)[0]
    return Cost(elementwise_flops=regions * num_elements(op.dims(0)[1:]))


RULES: Mapping[Key, Rule] = {
    ("", "MaxPool"): window_pool,
    ("", "AveragePool"): window_pool,
    ("", "LpPool"): lp_pool,
    **{("", kind): global_pool for kind in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")},
    ("", "MaxUnpool"): max_unpool,
    ("", "RoiAlign"): roi_align,
    ("", "MaxRoiPool"): max_roi_pool,
    ("com.microsoft", "NhwcMaxPool"): window_pool,
    ("com.microsoft", "QLinearAveragePool"): qlinear_pool,
    ("com.microsoft", "QLinearGlobalAveragePool"): qlinear_pool,
}
