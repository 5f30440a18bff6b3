"""Who reads whose result: the top-level operators of a model file, for grouping them.

Operators inside bodies of control flow and local functions are not listed; the operator that
holds them stands for them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from fitwright.graph.protos import standard, subgraphs
from fitwright.graph.read import read_model
from fitwright.graph.scope import attribute_values
from fitwright.records.model import CONVOLUTIONS


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One operator and its neighbours, by tensor name.

    Attributes:
        name: as the file has it; its first output where the file gives none, or one twice.
        reads: tensors it reads that are computed or given, constants left out.
        weight: shape of the largest constant it reads, for matrices as (…, rows in, columns
            out); empty without one of two dimensions or more.
        num_groups: of a convolution; 1 for everything else.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    weight: tuple[int, ...] = ()
    num_groups: int = 1

    @property
    def is_depthwise(self) -> bool:
        """A convolution that keeps its channels apart."""
        return self.kind in CONVOLUTIONS and self.num_groups > 1 and self.weight[1:2] == (1,)


def dependencies(model: Path) -> tuple[Node, ...]:
    """The operators in execution order; what only constants feed counts as a constant.

    Raises:
        ModelRefused: as `read_model`.
    """
    return dependencies_of(read_model(model))


def dependencies_of(model: onnx.ModelProto) -> tuple[Node, ...]:
    """The same, of a model that was read already."""
    graph = model.graph
    shapes: dict[str, tuple[int, ...]] = {t.name: tuple(t.dims) for t in graph.initializer}
    names = unique_names(graph)
    found = []
    for node, name in zip(graph.node, names, strict=True):
        reads = tuple(dict.fromkeys(i for i in _inputs(node) if i and i not in shapes))
        if not reads and not _draws(node):
            shapes.update(_constant_shapes(node, shapes))
            continue
        attributes = attribute_values(node)
        found.append(
            Node(
                name=name,
                kind=node.op_type,
                reads=reads,
                writes=tuple(filter(None, node.output)),
                weight=_weight(node, shapes, transposed=bool(attributes.get("transB"))),
                num_groups=int(attributes.get("group", 1)) if node.op_type in CONVOLUTIONS else 1,
            )
        )
    return tuple(found)


class Coverage:
    """Which operators of a graph a node of a rewritten graph stands for.

    Rewriting (fusing, folding) keeps the names of the tensors that remain; so a node stands
    for everything between the tensors it reads and those it writes.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._maker = {tensor: node for node in nodes for tensor in node.writes}
        self._first = {node.name: node.writes[0] for node in nodes if node.writes}
        self._order = {node.name: i for i, node in enumerate(nodes)}

    def tensor(self, name: str) -> str:
        """The tensor of that name, or the first output of that operator; empty: neither."""
        if name in self._maker:
            return name
        return self._first.get(name, "")

    def of(self, reads: Iterable[str], writes: Iterable[str]) -> tuple[Node, ...]:
        """In execution order; empty when none of the written tensors is known."""
        known, open_, found = set(reads), list(writes), {}
        while open_:
            node = self._maker.get(open_.pop())
            if node is None or node.name in found:
                continue
            found[node.name] = node
            open_ += [tensor for tensor in node.reads if tensor not in known]
        return tuple(sorted(found.values(), key=lambda node: self._order[node.name]))


def unique_names(graph: onnx.GraphProto) -> list[str]:
    """One name per node: the file's own where it is there once, else the first output's."""
    times = Counter(node.name for node in graph.node)
    return [
        node.name if node.name and times[node.name] == 1 else next(iter(node.output), "")
        for node in graph.node
    ]


def _inputs(node: onnx.NodeProto) -> list[str]:
    """Inputs, and whatever bodies capture from outside."""
    captured = [i for body in subgraphs(node) for inner in body.node for i in _inputs(inner)]
    made = {o for body in subgraphs(node) for inner in body.node for o in inner.output}
    own = {i.name for body in subgraphs(node) for i in (*body.input, *body.initializer)}
    return [*node.input, *(name for name in captured if name not in made | own)]


def _draws(node: onnx.NodeProto) -> bool:
    """Random operators read nothing, and are no constants."""
    return standard(node.domain) == "" and node.op_type.startswith(("Random", "Bernoulli"))


def _constant_shapes(
    node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """What the outputs of an operator on constants look like, as far as grouping needs it."""
    if node.op_type == "Constant":
        dims = next((tuple(a.t.dims) for a in node.attribute if a.HasField("t")), ())
        return dict.fromkeys(node.output, dims)
    largest = max((shapes.get(i, ()) for i in node.input), key=math.prod, default=())
    if node.op_type == "Transpose" and largest:
        perm = attribute_values(node).get("perm") or range(len(largest))[::-1]
        largest = tuple(largest[axis] for axis in perm)
    return dict.fromkeys(node.output, largest)


def _weight(
    node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]], *, transposed: bool
) -> tuple[int, ...]:
    found = [s for i in node.input if len(s := shapes.get(i, ())) >= 2]
    weight = max(found, key=math.prod, default=())
    return (*weight[:-2], weight[-1], weight[-2]) if transposed and weight else weight
