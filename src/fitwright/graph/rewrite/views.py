"""Chains of reshapes and transposes as one movement of axes, and the fewest operators for it.

Every axis of the input is a list of factors. A reshape regroups the factors in their order
and splits one where it must; a transpose permutes the groups. Two chains that end in the same
groups move the same elements to the same places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fitwright.graph.rewrite.edit import (
    Tally,
    Workbench,
    nodes_of,
    put,
    replaceable,
    sizes,
)
from fitwright.graph.rewrite.match import is_standard

RESHAPING = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
MOVING = (*RESHAPING, "Transpose")

Factor = tuple[int, ...]
"""A factor by its path of splits; its size is kept beside, so equal sizes do not mix."""
Groups = tuple[tuple[Factor, ...], ...]
Step = tuple[str, tuple[int, ...]]
"""``("Reshape", shape)`` or ``("Transpose", perm)``."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a chain of reshapes and transposes makes of `source`.

    Attributes:
        before, after: the factors of each axis of the source and of the result; axes of
            size 1 have none.
        size_of: of each factor.
        shape: of the result.
        num_nodes: how many operators the chain has.
    """

    source: ir.Value
    before: Groups
    after: Groups
    size_of: dict[Factor, int]
    shape: tuple[int, ...]
    num_nodes: int = 0

    def transposed(self, perm: Sequence[int]) -> View:
        """The axes in another order."""
        return View(
            source=self.source,
            before=self.before,
            after=tuple(self.after[axis] for axis in perm),
            size_of=self.size_of,
            shape=tuple(self.shape[axis] for axis in perm),
            num_nodes=self.num_nodes + 1,
        )

    def reshaped(self, shape: Sequence[int]) -> View | None:
        """Other axes over the same factors; None where a factor cannot be split so."""
        size_of, before, left = dict(self.size_of), self.before, _flat(self.after)
        groups: list[tuple[Factor, ...]] = []
        for dim in shape:
            group: list[Factor] = []
            while dim > 1 and left:
                first, *left = left
                if dim % size_of[first] and size_of[first] % dim:
                    return None
                if dim % size_of[first]:
                    outer, inner = (*first, 0), (*first, 1)
                    size_of |= {outer: dim, inner: size_of[first] // dim}
                    before = _split(before, first, (outer, inner))
                    first, left = outer, [inner, *left]
                group.append(first)
                dim //= size_of[first]
            groups.append(tuple(group))
        return View(
            source=self.source,
            before=before,
            after=tuple(groups),
            size_of=size_of,
            shape=tuple(shape),
            num_nodes=self.num_nodes + 1,
        )

    def steps(self) -> tuple[Step, ...]:
        """The fewest operators that do the same."""
        start = tuple(math.prod(self.size_of[f] for f in group) for group in self.before)
        if _flat(self.before) == _flat(self.after):
            return () if start == self.shape else (("Reshape", self.shape),)
        if (perm := _permutation(self.before, self.after)) is not None:
            return (("Transpose", perm),)
        if (early := _grouped_as(self.after, _flat(self.before))) is not None:
            perm = _inverse(early)
            middle = tuple(self.shape[axis] for axis in early)
            return (("Reshape", middle), ("Transpose", perm))
        if (late := _grouped_as(self.before, _flat(self.after))) is not None:
            return (("Transpose", late), ("Reshape", self.shape))
        source, target = _flat(self.before), _flat(self.after)
        return (
            ("Reshape", tuple(self.size_of[f] for f in source)),
            ("Transpose", tuple(source.index(f) for f in target)),
            ("Reshape", self.shape),
        )


def view(value: ir.Value) -> View | None:
    """The value as what its whole chain makes of the chain's first input."""
    node = value.producer()
    shape = sizes(value)
    if shape is None or 0 in shape:
        return None
    if node is None or not is_standard(node, *MOVING) or node.inputs[0] is None:
        return _plain(value, shape)
    earlier = view(node.inputs[0])
    if earlier is None:
        return _plain(value, shape)
    if node.op_type != "Transpose":
        return earlier.reshaped(shape) or _plain(value, shape)
    return earlier.transposed(permutation(node, rank=len(shape)))


def permutation(node: ir.Node, *, rank: int) -> tuple[int, ...]:
    """The axes of a Transpose; left out they are reversed."""
    perm = node.attributes.get("perm")
    return tuple(perm.as_ints()) if perm is not None else tuple(reversed(range(rank)))


def emit(bench: Workbench, found: View) -> ir.Value:
    """The operators of the view, put before the bench's place; its result."""
    value = found.source
    for kind, numbers in found.steps():
        value = (bench.reshaped if kind == "Reshape" else bench.transposed)(value, numbers)
    return value


def merge_views(graph: ir.Graph, tally: Tally) -> None:
    """Every chain of reshapes and transposes that fewer operators can do is done by fewer."""
    for node in nodes_of(graph):
        if not is_standard(node, *MOVING) or _goes_on(node.outputs[0]):
            continue
        found = _private(view(node.outputs[0]), node)
        if found is None or len(found.steps()) >= found.num_nodes:
            continue
        bench = Workbench(graph, node)
        if not found.steps() and not replaceable(found.source, node.outputs[0]):
            continue
        saved = found.num_nodes - len(found.steps())
        put(emit(bench, found), node.outputs[0])
        tally.change("reshape or transpose merged away", saved)


def _goes_on(value: ir.Value) -> bool:
    """Whether nothing but further reshapes and transposes reads the value: the end is later."""
    readers = [use.node for use in value.uses()]
    if value.is_graph_output() or not readers:
        return value.is_graph_output() is False and not readers
    return all(is_standard(n, *MOVING) and n.inputs[0] is value for n in readers)


def _private(found: View | None, last: ir.Node) -> View | None:
    """The view with only those operators counted that go when its result is made otherwise."""
    if found is None:
        return None
    count, node = 1, last
    while (value := node.inputs[0]) is not None and value is not found.source:
        earlier = value.producer()
        if earlier is None or len(value.uses()) > 1 or value.is_graph_output():
            break
        node, count = earlier, count + 1
    return View(**{**found.__dict__, "num_nodes": count})


def _plain(value: ir.Value, shape: tuple[int, ...]) -> View:
    groups: Groups = tuple(((axis,),) if size > 1 else () for axis, size in enumerate(shape))
    size_of: dict[Factor, int] = {(axis,): size for axis, size in enumerate(shape) if size > 1}
    return View(source=value, before=groups, after=groups, size_of=size_of, shape=shape)


def _flat(groups: Groups) -> list[Factor]:
    return [factor for group in groups for factor in group]


def _split(groups: Groups, old: Factor, new: tuple[Factor, ...]) -> Groups:
    return tuple(
        tuple(f for factor in group for f in (new if factor == old else (factor,)))
        for group in groups
    )


def _permutation(before: Groups, after: Groups) -> tuple[int, ...] | None:
    """Which transpose alone turns one into the other; axes of size 1 keep their order."""
    if len(before) != len(after):
        return None
    left = list(range(len(before)))
    perm = []
    for group in after:
        axis = next((axis for axis in left if before[axis] == group), None)
        if axis is None:
            return None
        left.remove(axis)
        perm.append(axis)
    return tuple(perm)


def _grouped_as(groups: Groups, order: list[Factor]) -> tuple[int, ...] | None:
    """The axes sorted so that their factors come in this order; None where they interleave.

    An axis of size 1 stays in front when it is in front, else follows the axis before it.
    """
    place: list[int] = []
    for group in groups:
        place.append(order.index(group[0]) if group else (place[-1] if place else -1))
    axes = tuple(sorted(range(len(groups)), key=lambda axis: place[axis]))
    return axes if _flat(tuple(groups[axis] for axis in axes)) == order else None


def _inverse(perm: Sequence[int]) -> tuple[int, ...]:
    return tuple(perm.index(axis) for axis in range(len(perm)))
