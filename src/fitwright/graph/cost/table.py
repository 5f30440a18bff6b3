"""Every counting rule, by domain and operator. Families have a file each."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.graph.cost import (
    attention,
    classic,
    conv,
    elementwise,
    matmul,
    movement,
    normalisation,
    pooling,
    quantised,
    recurrent,
    reduction,
    sampling,
    sequence,
    signal,
)
from fitwright.graph.cost.operator import Key, Rule

RULES: Mapping[Key, Rule] = {
    **conv.RULES,
    **matmul.RULES,
    **attention.RULES,
    **recurrent.RULES,
    **normalisation.RULES,
    **pooling.RULES,
    **elementwise.RULES,
    **reduction.RULES,
    **sampling.RULES,
    **quantised.RULES,
    **movement.RULES,
    **sequence.RULES,
    **signal.RULES,
    **classic.RULES,
}
