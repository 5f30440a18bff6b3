"""Operators grouped by kind and place: what is quantised together or not at all.

Layers of one kind behave alike, in time and in error, and layers far apart do not; so a group
is one kind of layer in one stretch of the model. Six to two dozen groups are few enough to
look at each alone and enough to tell them apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fitwright.graph.dependencies import Node
from fitwright.records.model import CONVOLUTIONS, MATRICES, RECURRENT
from fitwright.records.sensitivity import Group

ATTENTION = frozenset({"Attention", "MultiHeadAttention"})
TABLES = frozenset({"Gather", "GatherND"})
COMPUTING = CONVOLUTIONS | MATRICES | ATTENTION | RECURRENT

MOST_GROUPS = 20  # before the first and the last layer are set apart
MOST_PLACES = 4  # stretches of the model that are told apart


@dataclass(frozen=True, kw_only=True)
class _Neighbours:
    """For each operator, the nearest computing operators before and after it."""

    before: Mapping[str, frozenset[str]]
    after: Mapping[str, frozenset[str]]


def group_operators(nodes: Sequence[Node], quantised: Collection[str]) -> tuple[Group, ...]:
    """Every operator in one group; groups without a quantised operator are left out.

    Args:
        nodes: of the graph that was quantised, in execution order.
        quantised: operators that read an int8 tensor in the quantised model.

    Returns:
        In the order of their first operator.
    """
    members: dict[str, list[Node]] = defaultdict(list)
    leaders = _leaders(nodes)
    for node in nodes:
        members[leaders[node.name]].append(node)
    names = set(quantised)
    found = [
        Group(
            name=name,
            operators=tuple(n.name for n in group if n.name in names),
            followers=tuple(n.name for n in group if n.name not in names),
        )
        for name, group in members.items()
    ]
    return tuple(group for group in found if group.operators)


def _leaders(nodes: Sequence[Node]) -> dict[str, str]:
    """The group of every operator: its own, that of who reads it next, or of whom it reads."""
    near = _neighbours(nodes)
    role = _roles(nodes, near)
    group = _placed([n for n in nodes if n.name in role], role)
    order = {node.name: i for i, node in enumerate(nodes)}

    def led(node: Node) -> str:
        if node.name in group:
            return group[node.name]
        after, before = near.after[node.name], near.before[node.name]
        if after:
            return group[min(after, key=order.__getitem__)]
        return group[max(before, key=order.__getitem__)] if before else "operators without a layer"

    return {node.name: led(node) for node in nodes}


def _roles(nodes: Sequence[Node], near: _Neighbours) -> dict[str, str]:
    """The kind of layer that each computing operator and each table is."""
    by_name = {n.name: n for n in nodes}
    computing = [n for n in nodes if n.kind in COMPUTING]
    products = frozenset(n.name for n in computing if _is_product(n))
    role = {n.name: _role(n, products, near) for n in computing}
    role.update({n.name: "tables" for n in nodes if n.kind in TABLES and n.weight})
    weighted = [n for n in computing if n.weight]
    if weighted and by_name[weighted[0].name].kind in CONVOLUTIONS:
        role[weighted[0].name] = "first layer"
    if len(weighted) > 1 and not near.after[weighted[-1].name]:
        role[weighted[-1].name] = "last layer"
    return role


def _role(node: Node, products: frozenset[str], near: _Neighbours) -> str:
    if node.kind in CONVOLUTIONS:
        return _convolution(node)
    if node.kind in RECURRENT:
        return "recurrent layers"
    if node.name in products:
        return "attention products"
    if near.after[node.name] & products:
        return "attention projections"
    if near.before[node.name] & products:
        return "attention outputs"
    return _matrix(node)


def _is_product(node: Node) -> bool:
    """Two activations multiplied: attention scores, or the values weighted by them."""
    return node.kind in ATTENTION or (
        node.kind in MATRICES and not node.weight and len(node.reads) > 1
    )


def _convolution(node: Node) -> str:
    if node.is_depthwise:
        return "depthwise convolutions"
    if node.weight and all(size == 1 for size in node.weight[2:]):
        return "pointwise convolutions"
    return "convolutions"


def _matrix(node: Node) -> str:
    rows, columns = node.weight[-2:] if len(node.weight) >= 2 else (0, 0)
    if rows == columns:
        return "square layers"
    return "widening layers" if columns > rows else "narrowing layers"


def _placed(nodes: Sequence[Node], role: Mapping[str, str]) -> dict[str, str]:
    """Group names: the role, and the stretch of the model where it occurs in several."""
    alone = {"first layer", "last layer", "tables"}
    repeated = [n for n in nodes if role[n.name] not in alone]
    counts = sorted(Counter(role[n.name] for n in repeated).values())
    typical = counts[(len(counts) - 1) // 2] if counts else 1
    places = max(1, min(MOST_PLACES, MOST_GROUPS // max(1, len(counts)), typical))
    names = {n.name: role[n.name] for n in nodes}
    for rank, node in enumerate(repeated if places > 1 else ()):
        place = rank * places // len(repeated) + 1
        names[node.name] = f"{role[node.name]} {place}/{places}"
    return names


def _neighbours(nodes: Sequence[Node]) -> _Neighbours:
    maker = {tensor: node.name for node in nodes for tensor in node.writes}
    readers: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for tensor in node.reads:
            if tensor in maker:
                readers[maker[tensor]].append(node.name)
    makers = {n.name: [maker[t] for t in n.reads if t in maker] for n in nodes}
    computing = {n.name for n in nodes if n.kind in COMPUTING}
    names = [n.name for n in nodes]
    return _Neighbours(
        before=_nearest(names, makers.__getitem__, computing),
        after=_nearest(names[::-1], lambda name: readers.get(name, []), computing),
    )


def _nearest(
    names: Iterable[str], step: Callable[[str], list[str]], computing: Collection[str]
) -> dict[str, frozenset[str]]:
    """The first computing operators met on every way; `names` come after what they step to."""
    found: dict[str, frozenset[str]] = {}
    for name in names:
        met: set[str] = set()
        for other in step(name):
            met |= {other} if other in computing else found.get(other, frozenset())
        found[name] = frozenset(met)
    return found
