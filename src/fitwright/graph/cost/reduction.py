"""Reductions, running sums, sorting and losses: counted per element of the input."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule

PER_ELEMENT: Mapping[str, int] = {
    "ReduceSum": 1,
    "ReduceMean": 1,
    "ReduceMax": 1,
    "ReduceMin": 1,
    "ReduceProd": 1,
    "ReduceL1": 2,
    "ReduceL2": 2,
    "ReduceSumSquare": 2,
    "ReduceLogSum": 1,
    "ReduceLogSumExp": 4,  # max, subtract, exp, sum
    "ArgMax": 1,
    "ArgMin": 1,
    "CumSum": 1,
    "CumProd": 1,
}
_FINISH = frozenset({"ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"})
"""One more operation per output: divide, root or logarithm."""


def reduce(op: Operator) -> Cost:
    """Every input element once, and a finish per output."""
    per = PER_ELEMENT[op.kind]
    return Cost(elementwise_flops=per * op.size(0) + op.out_size() * (op.kind in _FINISH))


def top_k(op: Operator) -> Cost:
    """A comparison per element and halving: n log2 k, the heap's bound."""
    k = max(op.out_dims()[op.number("axis", -1)], 1)
    return Cost(elementwise_flops=op.size(0) * max(1, math.ceil(math.log2(k + 1))))


def unique(op: Operator) -> Cost:
    """By sorting: n log2 n comparisons."""
    n = op.size(0)
    return Cost(elementwise_flops=n * max(1, math.ceil(math.log2(n + 1))))


def cross_entropy(op: Operator) -> Cost:
    """LogSoftmax over the scores, then pick, weigh and sum per label."""
    return Cost(elementwise_flops=5 * op.size(0) + 2 * op.size(1))


def likelihood_loss(op: Operator) -> Cost:
    """Pick, weigh and sum per label."""
    return Cost(elementwise_flops=2 * op.size(1))


def non_max_suppression(op: Operator) -> Cost:
    """Every pair of boxes of a class compared: 12 FLOP per pair, the worst case."""
    batch, boxes, _ = op.dims(0)
    classes = op.dims(1)[1]
    return Cost(elementwise_flops=12 * batch * classes * boxes * (boxes - 1) // 2)


RULES: Mapping[Key, Rule] = {
    **{("", kind): reduce for kind in PER_ELEMENT},
    ("", "TopK"): top_k,
    ("", "Unique"): unique,
    ("", "SoftmaxCrossEntropyLoss"): cross_entropy,
    ("", "NegativeLogLikelihoodLoss"): likelihood_loss,
    ("", "NonMaxSuppression"): non_max_suppression,
}
