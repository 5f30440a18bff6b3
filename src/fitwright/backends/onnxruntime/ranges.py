"""One range for an operator and the activation behind it, where the quantiser put two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fitwright.backends.onnxruntime.keep import DEQUANTISE, QUANTISE, drop_unread, makers

_ACTIVATIONS = frozenset({"Relu", "Clip"})


def one_range_each(model: Any) -> int:
    """Drop the range between an operator and the activation that alone reads it.

    ONNX Runtime's quantiser gives a range to the sum and another to the Relu behind it. The
    first rounds what the second rounds again, and the pair of them is executed: neither backend
    fuses an activation with a range in front of it. Values are rounded once less.

    Returns:
        How many were dropped. The model, a `ModelProto`, is changed in place.
    """
    graph, num = model.graph, 0
    made, readers = makers(graph), _readers(graph)
    for node in graph.node:
        pair = _pair_before(node, made)
        if node.op_type not in _ACTIVATIONS or pair is None:
            continue
        between = (pair[0].input[0], pair[0].output[0], node.input[0])
        alone = all(len(readers[name]) == 1 for name in between)
        if alone and all(kind == QUANTISE for kind in readers[node.output[0]]):
            node.input[0] = pair[0].input[0]
            num += 1
    if num:
        drop_unread(graph)
    return num


def _pair_before(node: Any, made: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The pair that the node's data passes."""
    dequantise = made.get(node.input[0]) if node.input else None
    if dequantise is None or dequantise.op_type != DEQUANTISE:
        return None
    quantise = made.get(dequantise.input[0])
    return (quantise, dequantise) if quantise and quantise.op_type == QUANTISE else None


def _readers(graph: Any) -> Mapping[str, list[str]]:
    """Of every tensor the kinds of what reads it; an output of the model has a reader more."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            found[name].append(node.op_type)
        for attribute in node.attribute:
            for inner in attribute.g.node if attribute.HasField("g") else ():
                for name in inner.input:
                    found[name].append(inner.op_type)
    for output in graph.output:
        found[output.name].append("")
    return found
