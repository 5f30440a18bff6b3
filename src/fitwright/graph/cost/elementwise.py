"""Operators that work element by element.

The FLOP per output element are those of the textbook formula, a transcendental function
(exp, log, tanh, erf, sqrt ...) counted as one. Comparisons and selections count as one.
"""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule

_ONE = (
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Ceil Cos Cosh Div Equal Erf Exp Floor Greater GreaterOrEqual IsInf IsNaN Less "
    "LessOrEqual Log Mod Mul Neg Not Or Pow Reciprocal Relu Round Sign Sin Sinh Sqrt Sub Tan "
    "Tanh ThresholdedRelu Where Xor"
)
PER_ELEMENT: Mapping[str, int] = {
    **dict.fromkeys(_ONE.split(), 1),
    "Clip": 2,
    "LeakyRelu": 2,
    "PRelu": 2,
    "Softplus": 3,  # log(1 + exp x)
    "Softsign": 3,  # x / (1 + |x|)
    "Elu": 4,  # x < 0 ? a (exp x - 1) : x
    "Celu": 6,
    "Selu": 5,
    "Sigmoid": 4,  # 1 / (1 + exp -x)
    "HardSigmoid": 4,
    "HardSwish": 5,
    "Swish": 5,
    "Mish": 5,  # x tanh(log(1 + exp x))
    "Shrink": 3,
    "Gelu": 5,  # x / 2 (1 + erf(x / sqrt 2))
    "Bernoulli": 1,
}
CONTRIB_PER_ELEMENT: Mapping[str, int] = {
    "Gelu": 5,
    "FastGelu": 9,  # tanh form
    "QuickGelu": 6,
    "BiasGelu": 6,
    "BiasAdd": 2,
    "QLinearAdd": 8,  # widen both, add, narrow
    "QLinearMul": 8,
    "QLinearSigmoid": 9,
    "QLinearLeakyRelu": 7,
}


def per_element(flops: int) -> Rule:
    """So many FLOP for each element of the first output."""

    def rule(op: Operator) -> Cost:
        return Cost(elementwise_flops=flops * op.out_size())

    return rule


def variadic(op: Operator) -> Cost:
    """Max, Min, Sum: n - 1 operations per element; Mean divides once more."""
    given = sum(i is not None for i in op.inputs)
    per = max(given - 1, 0) + (op.kind == "Mean")
    return Cost(elementwise_flops=per * op.out_size())


def cast(op: Operator) -> Cost:
    """Changes the type: moves, computes nothing."""
    op.out_dims()
    return Cost()


def swiglu(op: Operator) -> Cost:
    """Swish of one half times the other: 6 FLOP per output element."""
    return Cost(elementwise_flops=6 * op.out_size())


RULES: Mapping[Key, Rule] = {
    **{("", kind): per_element(n) for kind, n in PER_ELEMENT.items()},
    **{("com.microsoft", kind): per_element(n) for kind, n in CONTRIB_PER_ELEMENT.items()},
    **{("", kind): variadic for kind in ("Max", "Min", "Sum", "Mean")},
    **{("", kind): cast for kind in ("Cast", "CastLike", "BitCast")},
    ("", "SwiGLU"): swiglu,
}
