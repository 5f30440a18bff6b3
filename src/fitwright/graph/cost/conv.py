"""Convolutions: grouped, depthwise, dilated, transposed, quantised. 1 MAC = 2 FLOP."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule
from fitwright.graph.dtypes import num_elements
from fitwright.records.model import Product


def conv_flops(op: Operator, weight: int) -> int:
    """2 x output elements x (channels per group x kernel), from W = (M, C/group, k...)."""
    return 2 * op.out_size() * num_elements(op.dims(weight)[1:])


def implicit_gemm(op: Operator, weight: int) -> Product:
    """Positions x (channels out per group) x (channels in per group x window), per group."""
    batch, _, *space = op.out_dims()
    out, per_group, *kernel = op.dims(weight)
    groups = op.number("group", 1)
    return Product(
        m=batch * num_elements(space),
        n=out // groups,
        k=per_group * num_elements(kernel),
        num_products=groups,
        kernel=tuple(kernel),
    )


def conv(op: Operator) -> Cost:
    """Y = X * W + B; padded positions are counted as work, as dense kernels do them."""
    return Cost(
        flops=conv_flops(op, 1),
        product=implicit_gemm(op, 1),
        elementwise_flops=op.out_size() * op.has(2),
    )


def fused_conv(op: Operator) -> Cost:
    """Conv with its activation, and an added tensor when given: 1 FLOP per element each."""
    per = op.has(2) + op.has(3) + 1
    return Cost(
        flops=conv_flops(op, 1),
        elementwise_flops=per * op.out_size(),
        product=implicit_gemm(op, 1),
    )


def conv_transpose(op: Operator) -> Cost:
    """Each input element meets the whole kernel once: 2 x input x (M/group x kernel)."""
    batch, channels, *space = op.dims(0)
    _, per_group, *kernel = op.dims(1)
    groups = op.number("group", 1)
    return Cost(
        flops=2 * op.size(0) * num_elements(op.dims(1)[1:]),
        elementwise_flops=op.out_size() * op.has(2),
        product=Product(
            m=batch * num_elements(space),
            n=per_group * num_elements(kernel),
            k=channels // groups,
            num_products=groups,
            kernel=tuple(kernel),
        ),
    )


def conv_integer(op: Operator) -> Cost:
    """Integer convolution; subtracting given zero points is 1 FLOP per element."""
    shift = sum(op.size(i) for i in (0, 1) if op.has(i + 2))
    return Cost(flops=conv_flops(op, 1), elementwise_flops=shift, product=implicit_gemm(op, 1))


def qlinear_conv(op: Operator) -> Cost:
    """Integer convolution, then scale, round and clip: 4 FLOP per output element."""
    return Cost(
        flops=conv_flops(op, 3),
        elementwise_flops=(4 + op.has(8)) * op.out_size(),
        product=implicit_gemm(op, 3),
    )


def deform_conv(op: Operator) -> Cost:
    """Conv over bilinearly sampled points: 8 FLOP per sampled value, 1 more with a mask."""
    out = op.out_dims()
    kernel = num_elements(op.dims(1)[2:])
    sampled = out[0] * op.dims(0)[1] * num_elements(out[2:]) * kernel
    return Cost(
        flops=conv_flops(op, 1),
        product=implicit_gemm(op, 1),
        elementwise_flops=(8 + op.has(4)) * sampled + op.out_size() * op.has(3),
    )


def causal_conv(op: Operator) -> Cost:
    """CausalConvWithState: depthwise over the sequence, W = (C, 1, k)."""
    channels, _, *kernel = op.dims(1)
    return Cost(
        flops=2 * op.size(0) * num_elements(op.dims(1)[1:]),
        product=Product(
            m=op.size(0) // channels,
            n=1,
            k=num_elements(kernel),
            num_products=channels,
            kernel=tuple(kernel),
        ),
        elementwise_flops=op.out_size()
        * (op.has(2) + 4 * (op.text("activation", "none") != "none")),
    )


def col2im(op: Operator) -> Cost:
    """Adds every column element into the picture: 1 FLOP each."""
    return Cost(elementwise_flops=op.size(0))


RULES: Mapping[Key, Rule] = {
    ("", "Conv"): conv,
    ("", "ConvTranspose"): conv_transpose,
    ("", "ConvInteger"): conv_integer,
    ("", "QLinearConv"): qlinear_conv,
    ("", "DeformConv"): deform_conv,
    ("", "CausalConvWithState"): causal_conv,
    ("", "Col2Im"): col2im,
    ("com.microsoft", "FusedConv"): fused_conv,
}
