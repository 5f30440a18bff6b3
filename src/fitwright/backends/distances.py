"""Squared distances between outputs of the same queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fitwright.ports import Array, Tensors

Answers = Sequence[Mapping[str, Array]]


def queries_of(inputs: Tensors) -> list[dict[str, Array]]:
    """One mapping per query."""
    num = len(next(iter(inputs.values())))
    return [{name: array[i] for name, array in inputs.items()} for i in range(num)]


def squares(ours: Answers, theirs: Answers) -> Array:
    """Per query: ‖ours - theirs‖² and ‖theirs‖² over floating-point outputs; shape (queries, 2).

    Values that are infinite or NaN in `theirs` are left out on both sides.
    """
    return np.array(
        [list(_one(got, wanted)) for got, wanted in zip(ours, theirs, strict=True)], np.float64
    )


def _one(got: Mapping[str, Array], wanted: Mapping[str, Array]) -> Iterator[float]:
    names = [name for name, y in wanted.items() if y.dtype.kind == "f"]
    finite = {name: np.isfinite(wanted[name]) for name in names}
    pairs = [
        (got[name][finite[name]].astype(np.float64), wanted[name][finite[name]].astype(np.float64))
        for name in names
    ]
    yield float(sum(np.sum((a - b) ** 2) for a, b in pairs))
    yield float(sum(np.sum(b**2) for _, b in pairs))
