"""Leaves some operators of a QDQ model in floating point, without recalibrating.

ONNX Runtime's quantiser calibrates the whole model once. To keep an operator, its inputs skip
their QuantizeLinear / DequantizeLinear pairs and its weights are those of the float model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fitwright.graph.dependencies import Coverage, Node

DEQUANTISE, QUANTISE = "DequantizeLinear", "QuantizeLinear"
_AGAIN = "/float"  # of a weight that is back; its own name may stand for the int8 form


class Quantised:
    """A QDQ model beside the float model it was made from.

    Args:
        model: what `onnxruntime.quantization` wrote, as a `ModelProto`; `keep_in_float`
            changes it in place.
        prepared: the float model that the quantiser read, folded by then.
        nodes: of the float model before folding; its names are those of operators here.
    """

    def __init__(self, model: Any, prepared: Any, nodes: Sequence[Node]) -> None:
        self.model, self.graph, self._prepared = model, model.graph, prepared.graph
        self._coverage = Coverage(nodes)

    def operators(self) -> tuple[str, ...]:
        """Operators that read a dequantised tensor."""
        made = makers(self.graph)
        return tuple(
            _foremost(covered)
            for node, _, covered in self._matched()
            if any(i in made and made[i].op_type == DEQUANTISE for i in node.input)
        )

    def keep_in_float(self, keep: Collection[str]) -> int:
        """How many inputs now skip their int8 form."""
        made = makers(self.graph)
        weights = {tensor.name: tensor for tensor in self._prepared.initializer}
        needed: dict[str, Any] = {}
        passed = 0
        for node, original, covered in self._matched():
            if not any(operator.name in keep for operator in covered):
                continue
            for index, read in enumerate(node.input):
                maker = made.get(read)
                if maker is None or maker.op_type != DEQUANTISE:
                    continue
                plain = _plain(maker, made, original.input[index])
                if plain in weights:
                    needed[plain] = weights[plain]
                    plain += _AGAIN
                node.input[index] = plain
                passed += 1
        self.graph.initializer.extend(_renamed(tensor) for tensor in needed.values())
        drop_unread(self.graph)
        return passed

    def _matched(self) -> Iterator[tuple[Any, Any, tuple[Node, ...]]]:
        """Nodes, their originals in the prepared graph, and the operators those stand for.

        A node keeps its name; one without a name is told by its outputs, which are renamed
        only where they are quantised themselves.
        """
        nodes = self._prepared.node
        by_name = {node.name: node for node in nodes}
        by_output = {node.output[0]: node for node in nodes if node.output}
        for node in self.graph.node:
            output = node.output[0].removesuffix("_QuantizeLinear_Input") if node.output else ""
            original = by_output.get(output, by_name.get(node.name))
            if original is None or original.op_type != node.op_type:
                continue
            if covered := self._coverage.of(original.input, original.output):
                yield node, original, covered


def _foremost(covered: Sequence[Node]) -> str:
    """The operator that gives several fused ones their name: the one with weights."""
    return next((node.name for node in covered if node.weight), covered[-1].name)


def _plain(dequantise: Any, made: Mapping[str, Any], original: str) -> str:
    """The float tensor that a dequantised one stands for."""
    quantise = made.get(dequantise.input[0])
    if quantise is not None and quantise.op_type == QUANTISE:
        return str(quantise.input[0])
    return original


def makers(graph: Any) -> dict[str, Any]:
    """Of every tensor the node that makes it."""
    return {out: node for node in graph.node for out in node.output}


def drop_unread(graph: Any) -> None:
    """Pairs and weights that nothing reads any more."""
    wanted = {out.name for out in graph.output}
    kept = []
    for node in reversed(graph.node):
        pair = node.op_type in (QUANTISE, DEQUANTISE)
        if pair and not wanted.intersection(node.output):
            continue
        kept.append(node)
        wanted.update(node.input)
        for attribute in node.attribute:
            for inner in attribute.g.node if attribute.HasField("g") else ():
                wanted.update(inner.input)
    nodes = kept[::-1]
    left = [t for t in graph.initializer if t.name in wanted]
    if len(nodes) < len(graph.node):
        copies = [_copied(node) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    if len(left) < len(graph.initializer):
        tensors = [_copied(tensor) for tensor in left]
        del graph.initializer[:]
        graph.initializer.extend(tensors)


def _renamed(tensor: Any) -> Any:
    copy = _copied(tensor)
    copy.name += _AGAIN
    return copy


def _copied(message: Any) -> Any:
    """Protobuf frees what is deleted from a list, so what stays is copied first."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
