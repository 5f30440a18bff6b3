"""Patterns as data, and where a graph holds them.

A pattern is read from its root, the operator whose output the pattern computes, towards its
inputs, as the formula is written: ``op("Mul", X, op("Sigmoid", X))``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

COMMUTATIVE = frozenset({"Add", "Mul", "And", "Or", "Max", "Min"})
STANDARD = ("", "ai.onnx")
CLOSE = 5e-4
"""Relative distance at which a constant still is the pattern's: what float16 rounds away."""


@dataclass(frozen=True)
class Value:
    """Any value; the same name must be the same value wherever it stands."""

    name: str


@dataclass(frozen=True)
class Number:
    """A constant of one element.

    Attributes:
        value: what it must be, within `CLOSE`; None: any.
        name: under which it is kept; empty: not kept.
    """

    value: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Constant:
    """A constant tensor of any size."""

    name: str


@dataclass(frozen=True)
class Op:
    """An operator of the standard domain and its inputs; trailing inputs left out are free.

    Attributes:
        kinds: operator types, any of which will do.
        attributes: values that must stand in the node or be its default as given.
        output: under which name its output is kept; empty: not kept.
        index: which of its outputs the pattern continues from.
    """

    kinds: tuple[str, ...]
    inputs: tuple[Pattern, ...]
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    output: str = ""


@dataclass(frozen=True)
class OneOf:
    """The first of several patterns that fits."""

    options: tuple[Pattern, ...]


Pattern: TypeAlias = Value | Number | Constant | Op | OneOf


def op(kinds: str, *inputs: Pattern, output: str = "", **attributes: Any) -> Op:
    """``op("Mul Div", a, b, axis=-1)``: kinds separated by blanks."""
    return Op(tuple(kinds.split()), inputs, MappingProxyType(attributes), output)


def one_of(*options: Pattern) -> OneOf:
    """Any of these."""
    return OneOf(options)


X = Value("x")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A place where a pattern holds.

    Attributes:
        values: what the names of the pattern stand for.
        nodes: the operators the pattern covers, the root last in no particular order.
    """

    values: Mapping[str, ir.Value]
    nodes: tuple[ir.Node, ...]

    def number(self, name: str) -> float:
        """The constant of that name."""
        found = number(self.values[name])
        assert found is not None, f"{name} is not a number of the pattern"
        return found


def matches(pattern: Pattern, root: ir.Node) -> Iterator[Match]:
    """Every way the pattern fits with `root` as its last operator."""
    if len(root.outputs) >= 1:
        yield from _value(pattern, root.outputs[0], Match(values={}, nodes=()))


def match(pattern: Pattern, root: ir.Node) -> Match | None:
    """The first way the pattern fits, or None."""
    return next(matches(pattern, root), None)


def needed_elsewhere(found: Match, root: ir.Node) -> bool:
    """Whether an operator of the match, the root aside, also feeds what is outside of it."""
    inside = set(found.nodes)
    return any(
        value.is_graph_output() or any(use.node not in inside for use in value.uses())
        for node in found.nodes
        if node is not root
        for value in node.outputs
    )


def array(value: ir.Value | None) -> NDArray[Any] | None:
    """The elements of a constant; None for what is computed or may be set from outside."""
    if value is None or value.is_graph_input():
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def number(value: ir.Value | None) -> float | None:
    """The element of a constant that has one, as a float."""
    found = array(value)
    if found is None or found.size != 1 or found.dtype.kind not in "fiu":
        return None
    return float(found.reshape(-1)[0])


def is_standard(node: ir.Node, *kinds: str) -> bool:
    """Whether the node is one of these operators of the standard domain."""
    return node.domain in STANDARD and node.op_type in kinds


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """A whole number of the node's, or what stands for it where it is left out."""
    return node.attributes[name].as_int() if name in node.attributes else default


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """The same of a fraction."""
    return node.attributes[name].as_float() if name in node.attributes else default


def producer(value: ir.Value | None, *kinds: str) -> ir.Node | None:
    """The node that computes the value, when it is one of these kinds."""
    node = value.producer() if value is not None else None
    return node if node is not None and is_standard(node, *kinds) else None


def _value(pattern: Pattern, value: ir.Value | None, so_far: Match) -> Iterator[Match]:
    match pattern:
        case OneOf(options):
            for option in options:
                yield from _value(option, value, so_far)
        case Value(name):
            yield from _bound(name, value, so_far)
        case Number(wanted, name):
            found = number(value)
            if found is not None and (wanted is None or np.isclose(found, wanted, rtol=CLOSE)):
                yield from _bound(name, value, so_far)
        case Constant(name):
            if array(value) is not None:
                yield from _bound(name, value, so_far)
        case Op():
            yield from _node(pattern, value, so_far)


def _bound(name: str, value: ir.Value | None, so_far: Match) -> Iterator[Match]:
    if value is None:
        return
    if not name:
        yield so_far
    elif so_far.values.get(name, value) is value:
        yield Match(values={**so_far.values, name: value}, nodes=so_far.nodes)


def _node(pattern: Op, value: ir.Value | None, so_far: Match) -> Iterator[Match]:
    node = producer(value, *pattern.kinds)
    if node is None or value is not node.outputs[0] or not _attributes_fit(pattern, node):
        return
    if len(node.inputs) < len(pattern.inputs):
        return
    for found in _bound(pattern.output, value, so_far):
        whole = Match(values=found.values, nodes=(*found.nodes, node))
        for order in _orders(node, len(pattern.inputs)):
            yield from _inputs(pattern.inputs, order, whole)


def _orders(node: ir.Node, length: int) -> list[Sequence[ir.Value | None]]:
    given = node.inputs[:length]
    swaps = node.op_type in COMMUTATIVE and length == 2
    return [given, given[::-1]] if swaps else [given]


def _inputs(
    patterns: Sequence[Pattern], values: Sequence[ir.Value | None], so_far: Match
) -> Iterator[Match]:
    if not patterns:
        yield so_far
        return
    for found in _value(patterns[0], values[0], so_far):
        yield from _inputs(patterns[1:], values[1:], found)


def _attributes_fit(pattern: Op, node: ir.Node) -> bool:
    return all(
        name in node.attributes and node.attributes[name].value == wanted
        for name, wanted in pattern.attributes.items()
    )
