"""Types and shapes of one node's outputs, by onnx's own inference for that operator.

Node by node, so that one operator onnx does not know spoils only what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError, infer_node_outputs, infer_shapes

from fitwright.graph.contrib_shapes import contrib_types
from fitwright.graph.known import Known

_REFUSALS = (
    InferenceError,
    ValidationError,
    onnx.defs.SchemaError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
)
"""What onnx raises for a node it cannot infer."""


def output_types(
    node: onnx.NodeProto,
    inputs: Sequence[Known | None],
    *,
    opsets: Mapping[str, int],
    domain: str,
    ir_version: int,
) -> list[onnx.TypeProto | None]:
    """One entry per output; None where nothing follows from what is known."""
    if domain == "com.microsoft" or node.op_type in _ONNX_RUNTIME_OWN:
        return contrib_types(node, inputs)
    types = {i.name: i.type for i in inputs if i is not None and i.type is not None}
    if any(i is not None and i.type is None for i in inputs):
        return [None] * len(node.output)
    plain = _renamed(node, inputs, domain)
    found = _by_schema(plain, types, inputs, opsets=opsets, ir_version=ir_version)
    if not all(_is_complete(found.get(name)) for name in plain.output if name):
        found = {**found, **_by_model(plain, types, inputs, opsets=opsets, ir_version=ir_version)}
    return [found.get(name) if name else None for name in plain.output]


_ONNX_RUNTIME_OWN = frozenset({"SimplifiedLayerNormalization"})
"""Operators that ONNX Runtime registers in the standard domain although ONNX has none."""


def _renamed(node: onnx.NodeProto, inputs: Sequence[Known | None], domain: str) -> onnx.NodeProto:
    """The node under the names of the walk, which are unique."""
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.domain = domain
    del plain.input[:]
    plain.input.extend(i.name if i is not None else "" for i in inputs)
    del plain.output[:]
    plain.output.extend(f"__out_{i}" if name else "" for i, name in enumerate(node.output))
    return plain


def _small_tensors(inputs: Sequence[Known | None]) -> dict[str, onnx.TensorProto]:
    return {
        i.name: onnx.numpy_helper.from_array(i.data, i.name)
        for i in inputs
        if i is not None and i.data is not None
    }


def _by_schema(
    node: onnx.NodeProto,
    types: dict[str, onnx.TypeProto],
    inputs: Sequence[Known | None],
    *,
    opsets: Mapping[str, int],
    ir_version: int,
) -> dict[str, onnx.TypeProto]:
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, 1), node.domain)
        return infer_node_outputs(
            schema,
            node,
            types,
            _small_tensors(inputs),
            opset_imports=_opset_list(opsets),
            ir_version=ir_version,
        )
    except _REFUSALS:
        return {}


def _by_model(
    node: onnx.NodeProto,
    types: dict[str, onnx.TypeProto],
    inputs: Sequence[Known | None],
    *,
    opsets: Mapping[str, int],
    ir_version: int,
) -> dict[str, onnx.TypeProto]:
    """A model of this node alone: reaches operators that onnx defines as functions."""
    tensors = _small_tensors(inputs)
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [onnx.helper.make_value_info(name, type_) for name, type_ in types.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        list(tensors.values()),
    )
    model = onnx.helper.make_model(graph, opset_imports=_opset_list(opsets), ir_version=ir_version)
    try:
        inferred = infer_shapes(model, data_prop=True)
    except _REFUSALS:
        return {}
    return {o.name: o.type for o in inferred.graph.output if o.type.WhichOneof("value")}


def _opset_list(opsets: Mapping[str, int]) -> list[onnx.OperatorSetIdProto]:
    return [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]


def _is_complete(type_: onnx.TypeProto | None) -> bool:
    if type_ is None or not type_.WhichOneof("value"):
        return False
    if not type_.HasField("tensor_type"):
        return True
    tensor = type_.tensor_type
    return tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
