"""What the contract promises never to read, left out; and queries of many lengths, well mixed."""

from __future__ import annotations

import numpy as np

from fitwright.ports import Array, Samples, Tensors
from fitwright.records.need import Padding

GOLDEN = (5**0.5 - 1) / 2  # the number that fractions come least near to


def own_lengths(mask: Array) -> Array:
    """Tokens of each query up to the last that is no padding; all of them where all are.

    Args:
        mask: shape (queries, batch, tokens), zero where a position is padding. The longest
            sample of a batch decides for its query.
    """
    kept: Array = np.any(mask != 0, axis=1)
    last = kept.shape[1] - np.argmax(kept[:, ::-1], axis=1)
    return np.asarray(np.where(kept.any(axis=1), last, kept.shape[1]))


def without_padding(outputs: Tensors, inputs: Tensors, padding: Padding | None) -> Tensors:
    """The outputs with zeros behind the last token of each query.

    Args:
        outputs: shape (queries, *output shape).
        inputs: of the same queries.
    """
    if padding is None or not padding.outputs:
        return outputs
    found = dict(outputs)
    lengths = own_lengths(inputs[padding.mask])
    for name in {name for name, _ in padding.outputs}.intersection(outputs):
        read = np.array(outputs[name])
        for values, length in zip(read, lengths, strict=True):
            for axis in (a for n, a in padding.outputs if n == name):
                values[(slice(None),) * axis + (slice(length, None),)] = 0
        found[name] = read
    return found


def evenly_mixed(
    samples: Samples, reference: Tensors, padding: Padding | None
) -> tuple[Samples, Tensors]:
    """The same queries in an order of which every stretch has short and long ones as the whole.

    A block of a race is a stretch of them, and what costs less for short queries must not win or
    lose by the luck of the draw: rounds that are slow because of their queries would be taken for
    disturbed ones. The order is that of a Fibonacci lattice: the query of rank r comes at the
    fractional part of r times the golden ratio.
    """
    if padding is None:
        return samples, reference
    ranked = np.argsort(own_lengths(samples.inputs[padding.mask]), kind="stable")
    places = np.arange(len(ranked)) * GOLDEN % 1.0
    order = ranked[np.argsort(places)]
    return samples.picked(order), {name: values[order] for name, values in reference.items()}


def num_unread(outputs: Tensors, inputs: Tensors, padding: Padding | None) -> int:
    """How many values of integer, boolean and string outputs nobody reads."""
    if padding is None:
        return 0
    exact = {name: y for name, y in outputs.items() if y.dtype.kind not in "fc"}
    read = without_padding({n: np.ones(y.shape, bool) for n, y in exact.items()}, inputs, padding)
    return sum(y.size - int(np.count_nonzero(y)) for y in read.values())
