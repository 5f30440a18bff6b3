"""Leaves some operators of an int8 OpenVINO model in floating point, without recalibrating.

NNCF calibrates the whole model once. To keep an operator, its FakeQuantize nodes are passed
by and its weights and bias are taken from the float model again; all else stays as calibrated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fitwright.graph.dependencies import Node

_SMOOTHED = "/nncf_smooth_quant"  # a scale before an operator, its inverse in the weights
_NARROW = frozenset({"i8", "u8", "i4", "u4"})
_WIDENING = frozenset({"Multiply", "Subtract", "Convert", "FakeQuantize"})

# Values go through these as they are, so what reads them is what the int8 range is for.
_PASSING = frozenset(
    {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "VariadicSplit", "Slice"}
    | {"StridedSlice", "Concat", "Convert", "Broadcast", "Tile", "Pad", "MaxPool"}
)


_PRODUCTS = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})


class Owners:
    """Which operator of the ONNX graph a node of OpenVINO's graph belongs to.

    Attributes:
        weighted: operators that multiply by weights or convolve with them, in order.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._by_tensor = {tensor: node.name for node in nodes for tensor in node.writes}
        self._names = {node.name for node in nodes}
        self._maker = {tensor: node for node in nodes for tensor in node.writes}
        self._nodes = {node.name: node for node in nodes}
        self.weighted = tuple(n.name for n in nodes if n.kind in _PRODUCTS and n.weight)

    def of(self, node: Any) -> str:
        """By the tensors it makes, else by its name; empty when it has no counterpart."""
        for port in node.outputs():
            for tensor in sorted(port.get_names()):
                if tensor in self._by_tensor:
                    return self._by_tensor[tensor]
        return self.named(_name(node))

    def named(self, friendly: str) -> str:
        """By name; parts of an operator are called ``operator/part``."""
        while friendly:
            if friendly in self._names or friendly in self._by_tensor:
                return self._by_tensor.get(friendly, friendly)
            friendly = friendly.rpartition("/")[0]
        return ""

    def behind(self, operators: Iterable[str]) -> tuple[str, ...]:
        """The weighted operators whose results reach these first."""
        met: dict[str, None] = {}
        seen, open_ = set(operators), list(operators)
        while open_:
            name = open_.pop()
            if name in self.weighted:
                met[name] = None
                continue
            makers = (self._maker.get(tensor) for tensor in self._nodes[name].reads)
            before = [node.name for node in makers if node and node.name not in seen]
            seen.update(before)
            open_ += before
        return tuple(met)

    def by_friendly_name(self, model: Any) -> Mapping[str, str]:
        """Owner of every node that has one."""
        found = {_name(node): self.of(node) for node in model.get_ops()}
        return {name: owner for name, owner in found.items() if owner}


def quantised_operators(model: Any, owners: Owners) -> tuple[str, ...]:
    """Operators that read an int8 activation or int8 weights, each once."""
    found: dict[str, None] = {}
    constants = constant_nodes(model)
    for node in model.get_ordered_ops():
        if _name(node) in constants:
            continue
        if node.get_type_name() == "FakeQuantize":
            for target in node.output(0).get_target_inputs():
                found.update(dict.fromkeys(_read_by(target.get_node(), owners)))
        elif _reads_narrow_weight(node, constants) and (owner := owners.of(node)):
            found[owner] = None
    return tuple(found)


def keep_in_float(model: Any, original: Any, owners: Owners, keep: Collection[str]) -> int:
    """Change the int8 model in place; how many int8 ranges were passed by.

    Args:
        model: as NNCF quantised it.
        original: the float model that NNCF read; nodes have the same names there.
        keep: operators, by their name in the ONNX graph.
    """
    constants, passed = constant_nodes(model), 0
    ordered = model.get_ordered_ops()
    for node in ordered:
        if node.get_type_name() == "FakeQuantize" and _name(node) not in constants:
            passed += _pass_by(node, owners, frozenset(keep), constants)
    originals = {_name(node): node for node in original.get_ops()}
    restore = _Restore(originals, constants, constant_nodes(original))
    for node in ordered:
        if _name(node) not in constants and owners.of(node) in keep:
            restore(node)
            for adding in _biases(node, constants):
                restore(adding)
    model.validate_nodes_and_infer_types()
    return passed


def _pass_by(
    fake_quantize: Any, owners: Owners, keep: frozenset[str], constants: Collection[str]
) -> int:
    """Connect every reader that only kept operators stand behind to what was quantised."""
    source = fake_quantize.input_value(0)
    if _SMOOTHED in _name(source.get_node()):
        source = _smoothed(source.get_node(), constants)
    passed = 0
    for target in list(fake_quantize.output(0).get_target_inputs()):
        readers = frozenset(_read_by(target.get_node(), owners))
        if readers and readers <= keep:
            target.replace_source_output(source)
            passed += 1
    return passed


def _smoothed(multiply: Any, constants: Collection[str]) -> Any:
    """What the smoothing scale is multiplied to."""
    first, second = multiply.input_values()
    return second if _name(first.get_node()) in constants else first


def _read_by(node: Any, owners: Owners) -> Iterator[str]:
    """The operators that compute with what reaches this node."""
    owner = "" if node.get_type_name() in _PASSING else owners.of(node)
    if owner:
        yield owner
        return
    for port in node.outputs():
        for target in port.get_target_inputs():
            yield from _read_by(target.get_node(), owners)


class _Restore:
    """Gives a node the weights and biases that the float model has."""

    def __init__(
        self, originals: Mapping[str, Any], constants: Collection[str], before: Collection[str]
    ) -> None:
        self._originals, self._constants, self._before = originals, constants, before

    def __call__(self, node: Any) -> None:
        original = self._originals.get(_name(node))
        if original is None or original.get_type_name() != node.get_type_name():
            return
        for port in node.inputs():
            value = original.input_value(port.get_index())
            was_constant = _name(value.get_node()) in self._before
            if was_constant and _name(port.get_source_output().get_node()) in self._constants:
                port.replace_source_output(value)


def _biases(node: Any, constants: Collection[str]) -> Iterator[Any]:
    """Additions of a constant to the node's result, which bias correction may have changed."""
    for port in node.outputs():
        for target in port.get_target_inputs():
            reader = target.get_node()
            sources = {_name(value.get_node()) for value in reader.input_values()}
            if reader.get_type_name() == "Add" and not sources.isdisjoint(constants):
                yield reader


def constant_nodes(model: Any) -> frozenset[str]:
    """Names of the nodes that only constants feed."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Parameter", "ReadValue"):
            continue
        if all(_name(value.get_node()) in found for value in node.input_values()):
            found.add(_name(node))
    return frozenset(found)


def _reads_narrow_weight(node: Any, constants: Collection[str]) -> bool:
    """Whether one of its inputs is an int8 constant, widened on the way."""
    sources = (value.get_node() for value in node.input_values())
    return any(_is_narrow(source) for source in sources if _name(source) in constants)


def _is_narrow(constant: Any) -> bool:
    while constant.get_type_name() in _WIDENING:
        constant = constant.input_value(0).get_node()
    return constant.get_element_type().get_type_name() in _NARROW and bool(
        list(constant.get_output_shape(0))
    )


def _name(node: Any) -> str:
    return str(node.get_friendly_name())
