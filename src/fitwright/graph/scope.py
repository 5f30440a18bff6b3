"""Names and what they stand for, during a walk; one scope per graph, body or function call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from fitwright.graph.cost.operator import Cost
from fitwright.graph.known import Known
from fitwright.graph.protos import FunctionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """An operator kind that could not be counted, and why."""

    kind: str
    domain: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One operator in execution order.

    Attributes:
        reads: distinct values it reads, those its bodies capture included.
        writes: values it makes.
        cost: None when a gap says why.
        inner_peak_bytes: activations alive inside its bodies at their worst moment.
    """

    name: str
    kind: str
    domain: str
    reads: tuple[Known, ...]
    writes: tuple[Known, ...]
    cost: Cost | None
    gaps: tuple[Gap, ...] = ()
    inner_peak_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Library:
    """What the whole model shares: its functions and versions."""

    functions: Mapping[FunctionKey, onnx.FunctionProto]
    ir_version: int


@dataclass(kw_only=True)
class Scope:
    """The names visible at one place.

    Attributes:
        prefix: of unique names made here, ``call/`` or empty.
        opsets: version per domain in force here.
        outer: the enclosing graph's scope, for bodies; functions see nothing outside.
        attributes: what a function was called with, for its `ref_attr_name`s.
        hints: shapes the file states for values that inference cannot reach.
    """

    library: Library
    prefix: str
    opsets: Mapping[str, int]
    outer: Scope | None = None
    attributes: Mapping[str, onnx.AttributeProto] = field(default_factory=dict)
    hints: Mapping[str, onnx.TypeProto] = field(default_factory=dict)
    values: dict[str, Known] = field(default_factory=dict)

    def find(self, name: str) -> Known | None:
        """What a name stands for; None for the empty name of an absent input."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return None

    def inputs(self, node: onnx.NodeProto) -> list[Known | None]:
        """The node's inputs in order."""
        return [self.find(name) if name else None for name in node.input]


def bound(node: onnx.NodeProto, attributes: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """The node with its references to function attributes replaced by their values."""
    if not any(a.ref_attr_name for a in node.attribute):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            copy.attribute.append(attribute)
        elif attribute.ref_attr_name in attributes:
            given = copy.attribute.add()
            given.CopyFrom(attributes[attribute.ref_attr_name])
            given.name = attribute.name
    return copy


def attribute_values(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes by name as Python values; bodies are left out."""
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return {a.name: attribute_value(a) for a in node.attribute if a.type not in graphs}


def attribute_value(attribute: onnx.AttributeProto) -> Any:
    """As Python sees it; None when the file does not say of what type it is."""
    try:
        return onnx.helper.get_attribute_value(attribute)
    except ValueError:
        return None


def body(node: onnx.NodeProto, name: str) -> onnx.GraphProto | None:
    """A body of control flow by its attribute name."""
    return next((a.g for a in node.attribute if a.name == name and a.HasField("g")), None)


def distinct(values: Sequence[Known]) -> tuple[Known, ...]:
    """Each value once, in order."""
    return tuple({v.name: v for v in values}.values())
