"""Many operators as columns, so that a device answers for all of them in a few array steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from fitwright.perf.work import OperatorClass, Work

Column = NDArray[np.float64]
Rows = NDArray[np.intp]

NUMBERS = (
    "flops",
    "bytes_moved",
    "working_set_bytes",
    "m",
    "n",
    "k",
    "num_batches",
    "num_steps",
    "heads_per_kv_head",
)
_numbers = attrgetter(*NUMBERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The numbers of some operators of one group, one array each; names as of `Work`."""

    flops: Column
    bytes_moved: Column
    working_set_bytes: Column
    m: Column
    n: Column
    k: Column
    num_batches: Column
    num_steps: Column
    heads_per_kv_head: Column


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Operators that share a formula and its constants.

    Attributes:
        dtype, weight_dtype, scaling: as of `Work`.
        rows: where they stand among all.
    """

    operator_class: OperatorClass
    dtype: str
    weight_dtype: str
    scaling: str
    rows: Rows
    columns: Columns


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkTable:
    """Operators of a model, grouped once and asked of many devices.

    Attributes:
        num_works: of all groups together.
    """

    num_works: int
    groups: tuple[Group, ...]


def tabulate(works: Sequence[Work]) -> WorkTable:
    """The works as columns; worth keeping when more than one device is asked."""
    members: dict[tuple[OperatorClass, str, str, str], list[int]] = {}
    for i, w in enumerate(works):
        key = (w.operator_class, w.dtype, w.weight_dtype, w.scaling)
        members.setdefault(key, []).append(i)
    numbers = np.array([_numbers(w) for w in works], dtype=np.float64).reshape(-1, len(NUMBERS))
    groups = []
    for (operator_class, dtype, weight_dtype, scaling), where in members.items():
        rows = np.array(where, dtype=np.intp)
        picked = numbers[rows].T
        groups.append(
            Group(
                operator_class=operator_class,
                dtype=dtype,
                weight_dtype=weight_dtype,
                scaling=scaling,
                rows=rows,
                columns=Columns(**dict(zip(NUMBERS, picked, strict=True))),
            )
        )
    return WorkTable(num_works=len(works), groups=tuple(groups))
