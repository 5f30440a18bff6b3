"""Resize, grid sampling and random numbers."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost.operator import Cost, Key, Operator, Rule

_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}
"""Source points per resized axis."""


def resize(op: Operator) -> Cost:
    """2 FLOP per tap, taps multiply over the axes that change; nearest only copies."""
    mode = op.text("mode", "nearest")
    source, target = op.dims(0), op.out_dims()
    changed = sum(a != b for a, b in zip(source, target, strict=True))
    if mode == "nearest" or not changed:
        return Cost()
    return Cost(elementwise_flops=2 * _TAPS.get(mode, 2) ** changed * op.out_size())


def grid_sample(op: Operator) -> Cost:
    """2 FLOP per tap, and 4 to place each grid coordinate; nearest computes only the place."""
    mode = op.text("mode", "linear")
    axes = len(op.dims(0)) - 2
    taps = _TAPS.get(mode, 2) ** axes if mode != "nearest" else 0
    return Cost(elementwise_flops=2 * taps * op.out_size() + 4 * op.size(1))


def affine_grid(op: Operator) -> Cost:
    """theta x (point, 1): a dot product of axes + 1 per coordinate."""
    axes = op.dims(0)[1]
    return Cost(elementwise_flops=2 * (axes + 1) * op.out_size())


def random(op: Operator) -> Cost:
    """About ten integer operations per number (Philox), counted as 10 FLOP."""
    return Cost(elementwise_flops=10 * op.out_size())


RULES: Mapping[Key, Rule] = {
    ("", "Resize"): resize,
    ("", "Upsample"): resize,
    ("", "GridSample"): grid_sample,
    ("", "AffineGrid"): affine_grid,
    **{
        ("", kind): random
        for kind in (
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "Multinomial",
        )
    },
}
