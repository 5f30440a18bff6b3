"""Normalisation and softmax, counted per element of the textbook formula."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule

BATCH_NORM = 4  # subtract mean, times inverse deviation, times scale, plus bias
STANDARDISE = 5  # mean; subtract; square and sum; times inverse deviation
SOFTMAX = 5  # max, subtract, exp, sum, divide


def per_input_element(flops: int, *, scale: int | None = None, bias: int | None = None) -> Rule:
    """So many FLOP per element of the first input, one more each for a given scale and bias."""

    def rule(op: Operator) -> Cost:
        affine = sum(op.has(i) for i in (scale, bias) if i is not None)
        return Cost(elementwise_flops=(flops + affine) * op.size(0))

    return rule


def lp_normalisation(op: Operator) -> Cost:
    """x / |x|_p: power, sum, divide."""
    return Cost(elementwise_flops=3 * op.size(0))


def local_response(op: Operator) -> Cost:
    """Square, a running sum over `size` channels, power, divide."""
    return Cost(elementwise_flops=(op.number("size") + 5) * op.size(0))


def skip_norm(op: Operator) -> Cost:
    """Add the skip, standardise, scale, bias."""
    centred = STANDARDISE if op.kind == "SkipLayerNormalization" else STANDARDISE - 2
    given = sum(op.has(i) for i in range(1, len(op.inputs)))
    return Cost(elementwise_flops=(centred + given) * op.size(0))


def embed_norm(op: Operator) -> Cost:
    """Sum of two or three embeddings, then LayerNorm; reads only the rows it gathers."""
    tables = 2 + op.has(4)
    moved = sum(o.bytes for o in op.outputs[:1] if o is not None)
    small = sum(op.input(i).bytes for i in (0, 1, 5, 6) if op.has(i))
    return Cost(
        elementwise_flops=(tables - 1 + STANDARDISE + 2) * op.out_size(),
        bytes_read=tables * moved + small,
    )


RULES: Mapping[Key, Rule] = {
    ("", "BatchNormalization"): per_input_element(BATCH_NORM),
    ("", "InstanceNormalization"): per_input_element(STANDARDISE + 2),
    ("", "GroupNormalization"): per_input_element(STANDARDISE + 2),
    ("", "LayerNormalization"): per_input_element(STANDARDISE, scale=1, bias=2),
    ("", "RMSNormalization"): per_input_element(3, scale=1),
    ("", "SimplifiedLayerNormalization"): per_input_element(3, scale=1),
    ("", "MeanVarianceNormalization"): per_input_element(STANDARDISE),
    ("", "LpNormalization"): lp_normalisation,
    ("", "LRN"): local_response,
    ("", "Softmax"): per_input_element(SOFTMAX),
    ("", "LogSoftmax"): per_input_element(SOFTMAX),
    ("", "Hardmax"): per_input_element(2),
    ("com.microsoft", "SimplifiedLayerNormalization"): per_input_element(3, scale=1),
    ("com.microsoft", "SkipLayerNormalization"): skip_norm,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): skip_norm,
    ("com.microsoft", "EmbedLayerNormalization"): embed_norm,
    ("com.microsoft", "GroupNorm"): per_input_element(STANDARDISE + 2),
    ("com.microsoft", "SkipGroupNorm"): per_input_element(STANDARDISE + 3),
    ("com.microsoft", "BiasSoftmax"): per_input_element(SOFTMAX + 1),
    ("com.microsoft", "QLinearSoftmax"): per_input_element(SOFTMAX + 5),
}
