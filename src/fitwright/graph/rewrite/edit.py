"""What every rewriting does to a graph: add nodes, put one value in another's place, clean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common


@dataclass
class Tally:
    """What a rewriting did.

    Attributes:
        changed: how many places, by what they became.
        left: places that look alike and stay, by the reason.
    """

    changed: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def change(self, what: str, times: int = 1) -> None:
        """Count places that became something else."""
        if times:
            self.changed[what] = self.changed.get(what, 0) + times

    def leave(self, why: str) -> None:
        """Count one place that stays."""
        self.left[why] = self.left.get(why, 0) + 1

    @property
    def modified(self) -> bool:
        """Whether any place changed."""
        return bool(self.changed)

    def notes(self) -> tuple[str, ...]:
        """One sentence each, for people."""
        made = tuple(f"{times} x {what}" for what, times in self.changed.items())
        kept = tuple(f"left {times}: {why}" for why, times in self.left.items())
        return made + kept


@dataclass(frozen=True)
class Workbench:
    """A graph under edit; new nodes go before `at` and get names that are not taken."""

    graph: ir.Graph
    at: ir.Node

    def node(
        self,
        kind: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        shape: Sequence[int] | None = None,
        like: ir.Value | None = None,
    ) -> ir.Value:
        """Add an operator; its only output, with the shape given and the type of `like`."""
        made = ir.node(kind, list(inputs), attributes=dict(attributes or {}))
        out = made.outputs[0]
        like = like if like is not None else next(v for v in inputs if v is not None)
        out.type = ir.TensorType(like.dtype) if like.dtype is not None else None
        out.shape = ir.Shape(list(shape)) if shape is not None else None
        self.graph.insert_before(self.at, made)
        return out

    def constant(self, value: NDArray[Any], *, hint: str) -> ir.Value:
        """Add a constant."""
        return new_constant(self.graph, value, hint=hint)

    def reshaped(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """The value in another static shape of as many elements."""
        target = self.constant(np.asarray(shape, np.int64), hint="shape")
        return self.node("Reshape", [value, target], shape=shape)

    def transposed(self, value: ir.Value, perm: Sequence[int]) -> ir.Value:
        """The value with its axes permuted; its shape must be known."""
        shape = sizes(value)
        assert shape is not None, "only values of known shape are transposed"
        return self.node(
            "Transpose", [value], {"perm": list(perm)}, shape=[shape[axis] for axis in perm]
        )


def new_constant(graph: ir.Graph, value: NDArray[Any], *, hint: str) -> ir.Value:
    """A new initializer under a free name that begins with the hint."""
    name, number = f"{hint}_r0", 0
    while name in graph.initializers:
        number += 1
        name = f"{hint}_r{number}"
    tensor = ir.tensor(np.asarray(value, order="C"), name=name)
    made = ir.Value(
        name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(value.shape), const_value=tensor
    )
    graph.register_initializer(made)
    return made


def sizes(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape, when every dimension of it is a known number."""
    if value is None or value.shape is None:
        return None
    dims = [dim for dim in value.shape if isinstance(dim, int)]
    return tuple(dims) if len(dims) == len(value.shape) else None


def known_sizes(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a value of which it was checked before that it is known."""
    found = sizes(value)
    assert found is not None, "known shapes are asked for first"
    return found


def put(new: ir.Value, old: ir.Value) -> None:
    """Everything that read `old` reads `new`; an output of the graph keeps its name."""
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return
    node = old.producer()
    assert node is not None and node.graph is not None, "an output is made by a node"
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    if new.is_graph_input() or new.is_initializer() or _is_output_twice(new):
        raise AssertionError("`replaceable` is asked before `put`")
    name, old.name = old.name, None
    new.name = name
    new.shape, new.type = old.shape, old.type


def replaceable(new: ir.Value, old: ir.Value) -> bool:
    """Whether `new` may take the place of `old`: an output must be some node's own."""
    if not old.is_graph_output():
        return True
    return not (new.is_graph_input() or new.is_initializer() or new.is_graph_output())


def _is_output_twice(value: ir.Value) -> bool:
    graph = value.graph
    return graph is not None and sum(v is value for v in graph.outputs) > 1


def nodes_of(graph: ir.Graph) -> Iterator[ir.Node]:
    """The graph's own nodes as they stand now; those of bodies are not rewritten."""
    for node in tuple(graph):
        if node.graph is graph:
            yield node


def swept(model: ir.Model) -> None:
    """Drop what no output needs any more."""
    common.RemoveUnusedNodesPass()(model)
    common.RemoveUnusedOpsetsPass()(model)


def infer_shapes(model: ir.Model) -> None:
    """State the shape of every value that ONNX can infer."""
    common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
