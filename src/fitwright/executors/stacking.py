"""Several queries in one run: stacked along the first axis going in, split coming out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fitwright.errors import TrialFailed
from fitwright.executors import shared
from fitwright.ports import Array, Tensors


def stacked(queries: Tensors, *, batch: int) -> dict[str, Array]:
    """Queries of shape (queries, size, ...) as (runs, batch * size, ...).

    The last run is filled up with the first queries. The result lies in shared memory of its
    own, so that it is no part of the memory that a process needs for the model.
    """
    num = len(next(iter(queries.values())))
    runs = -(-num // batch)
    picked = np.arange(runs * batch).reshape(runs, batch) % num
    shapes = {
        name: ((batch * array.shape[1], *array.shape[2:]), array.dtype)
        for name, array in queries.items()
    }
    tensors = shared.layout(shapes, num_queries=runs)
    memory = shared.anonymous_memory(shared.num_bytes_of(tensors))
    made = shared.mapped(memory, tensors)
    for name, array in queries.items():
        for run, members in enumerate(picked):
            np.concatenate([array[i] for i in members], out=made[name][run])
    return made


def split(name: str, array: Array, *, batch: int) -> Array:
    """An output of one run as (batch, size, ...).

    Raises:
        TrialFailed: it does not open with an axis of all queries.
    """
    if not array.shape or array.shape[0] % batch:
        raise TrialFailed(
            f"output '{name}' of shape {array.shape} cannot be split among {batch} queries",
            remedy="Use batch=1 for this model.",
        )
    return array.reshape(batch, array.shape[0] // batch, *array.shape[1:])


def answered(latencies_s: Sequence[float], *, batch: int) -> list[float]:
    """The latency of each query: it is answered when its run is."""
    return [latency for latency in latencies_s for _ in range(batch)]
