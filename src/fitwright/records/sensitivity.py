"""What int8 gains and costs, operator group by operator group, on one backend."""

from __future__ import annotations

from fitwright.records.figure import Figure
from fitwright.records.recipe import Recipe
from fitwright.records.record import Record


class OperatorTime(Record):
    """Time of one executed node of a compiled model.

    Attributes:
        name: the backend's own, often of several operators fused.
        kind: the backend's own word, e.g. ``FullyConnected`` or ``Reorder``.
        arithmetic: how it computed where the backend tells, e.g. ``brgemm_avx512_bf16``.
        operators: operators of the graph it stands for; empty when it has no counterpart
            there (conversions, copies).
        serves: the operators that read its result next, for nodes without a counterpart.
        seconds: one reading per run.
    """

    name: str
    kind: str
    arithmetic: str = ""
    operators: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    seconds: tuple[float, ...]


class Profile(Record):
    """One compiled model, operator by operator.

    Attributes:
        whole_s: one reading per run of the whole query, profiling included.
    """

    times: tuple[OperatorTime, ...]
    whole_s: tuple[float, ...]


class Group(Record):
    """Operators that are quantised together or not at all.

    Attributes:
        name: kind and place, e.g. ``attention products 2/3``.
        operators: those that int8 changes, by their name in the graph.
        followers: others whose time is counted with the group: activations fused into its
            operators, reshapes on the way to them.
    """

    name: str
    operators: tuple[str, ...]
    followers: tuple[str, ...] = ()


class GroupEffect(Record):
    """What quantising one group does.

    Attributes:
        error: relative L2 distance of the outputs to the original's with only this group
            quantised, on calibration queries.
        float_time: of the group in floating point, seconds per query.
        gained: seconds per query that int8 saves in this group, conversions on the way into
            it included; negative where int8 is slower.
    """

    group: Group
    error: Figure
    float_time: Figure
    gained: Figure


class Sensitivity(Record):
    """Both costs of int8, known group by group.

    Attributes:
        chain: the recipes of the int8 variant that was taken apart; every group quantised.
        backend: where it was timed.
        error: of the whole int8 variant, as in `GroupEffect.error`.
        unassigned: seconds per query that int8 saves in nodes that belong to no group.
    """

    chain: tuple[Recipe, ...]
    backend: str
    effects: tuple[GroupEffect, ...]
    error: Figure
    unassigned: Figure
