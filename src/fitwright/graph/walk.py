"""One pass over the graph in execution order: shapes, small values and costs together.

Calls of local functions are walked through, so their operators appear one by one; bodies of
control flow are walked inside their operator. The size of both was limited before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import onnx

from fitwright.graph.control import CONTROL
from fitwright.graph.cost.operator import MALFORMED, Cost, Missing, Operator
from fitwright.graph.cost.table import RULES
from fitwright.graph.infer import output_types
from fitwright.graph.known import Known, constant, known, tensor_type
from fitwright.graph.protos import called, standard
from fitwright.graph.scope import (
    Gap,
    Scope,
    Step,
    attribute_value,
    attribute_values,
    bound,
    distinct,
)
from fitwright.graph.values import value_of

_DO_NOT_FIT = "inputs or attributes do not fit the operator"


def walk_graph(graph: onnx.GraphProto, scope: Scope) -> list[Step]:
    """Every operator of a graph; its inputs are in the scope already."""
    for tensor in graph.initializer:
        scope.values[tensor.name] = constant(scope.prefix + tensor.name, tensor)
    for sparse in graph.sparse_initializer:
        scope.values[sparse.values.name] = _sparse(scope, sparse)
    return walk_nodes(graph.node, scope)


def walk_nodes(nodes: Iterable[onnx.NodeProto], scope: Scope) -> list[Step]:
    """Every operator of these nodes, calls expanded; fills the scope with what they make."""
    steps: list[Step] = []
    for index, raw in enumerate(nodes):
        node = bound(raw, scope.attributes)
        name = scope.prefix + (node.name or f"{node.op_type}_{index}")
        if called(node) in scope.library.functions:
            steps += _walk_call(node, name, scope)
        elif node.op_type in CONTROL and standard(node.domain) == "":
            steps.append(_walk_control(node, name, scope))
        elif node.op_type == "Constant" and standard(node.domain) == "":
            _keep_constant(node, scope)
        else:
            steps.append(_walk_operator(node, name, scope))
    return steps


def _walk_control(node: onnx.NodeProto, name: str, scope: Scope) -> Step:
    try:
        return CONTROL[node.op_type](node, name, scope, walk_graph)
    except MALFORMED:
        outputs = [known(scope.prefix + out, None) for out in node.output if out]
    scope.values.update(zip(filter(None, node.output), outputs, strict=True))
    gap = Gap(kind=node.op_type, domain="", reason=_DO_NOT_FIT)
    return Step(
        name=name,
        kind=node.op_type,
        domain="",
        reads=(),
        writes=tuple(outputs),
        cost=None,
        gaps=(gap,),
    )


def _walk_operator(node: onnx.NodeProto, name: str, scope: Scope) -> Step:
    domain = standard(node.domain)
    inputs = scope.inputs(node)
    types = output_types(
        node, inputs, opsets=scope.opsets, domain=domain, ir_version=scope.library.ir_version
    )
    outputs = [
        known(scope.prefix + out, _or_hint(type_, scope.hints.get(out))) if out else None
        for out, type_ in zip(node.output, types, strict=True)
    ]
    op = Operator(
        kind=node.op_type,
        domain=domain,
        opset=scope.opsets.get(domain, 1),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attributes=attribute_values(node),
    )
    cost, gaps = _cost(op)
    op = _with_value(op, cost)
    scope.values.update(
        (out, made) for out, made in zip(node.output, op.outputs, strict=True) if made
    )
    return Step(
        name=name,
        kind=node.op_type,
        domain=domain,
        reads=distinct([i for i in inputs if i is not None]),
        writes=tuple(o for o in op.outputs if o is not None),
        cost=cost,
        gaps=gaps,
    )


def _cost(op: Operator) -> tuple[Cost | None, tuple[Gap, ...]]:
    """By the table; a gap where there is no rule or the rule misses something."""
    rule = RULES.get((op.domain, op.kind))
    reason = ""
    if rule is None:
        reason = "no counting rule for this operator"
    elif any(o is not None and o.is_tensor_of_unknown_size for o in op.outputs):
        reason = "shape of the output is unknown before it runs"
    else:
        try:
            return rule(op), ()
        except Missing as e:
            reason = str(e)
        except MALFORMED:
            reason = _DO_NOT_FIT
    return None, (Gap(kind=op.kind, domain=op.domain, reason=reason),)


def _with_value(op: Operator, cost: Cost | None) -> Operator:
    """The first output with its small value, and as a view of the first input if it is one."""
    first = op.outputs[0] if op.outputs else None
    if first is None:
        return op
    data = value_of(op)
    source = op.inputs[0] if op.inputs and cost is not None and cost.view else None
    if data is None and source is None:
        return op
    seen = replace(
        first,
        data=data,
        constant=source.constant if source else False,
        root=source.root if source else first.root,
    )
    return replace(op, outputs=(seen, *op.outputs[1:]))


def _walk_call(node: onnx.NodeProto, name: str, scope: Scope) -> list[Step]:
    """A local function's operators, under the caller's values."""
    function = scope.library.functions[called(node)]
    given = {a.name: a for a in function.attribute_proto} | {a.name: a for a in node.attribute}
    inner = Scope(
        library=scope.library,
        prefix=f"{name}/",
        opsets={standard(o.domain): o.version for o in function.opset_import},
        attributes=given,
    )
    for formal, value in zip(function.input, scope.inputs(node), strict=False):
        if value is not None:
            inner.values[formal] = value
    steps = walk_nodes(function.node, inner)
    for formal, out in zip(function.output, node.output, strict=False):
        made = inner.find(formal)
        if out and made is not None:
            scope.values[out] = made
    return steps


def _keep_constant(node: onnx.NodeProto, scope: Scope) -> None:
    """A Constant node is stored data, not work: it becomes a value and no step."""
    for out in filter(None, node.output):
        name = scope.prefix + out
        scope.values[out] = known(name, None, constant=True)
        for attribute in node.attribute:
            scope.values[out] = _constant_of(name, attribute) or scope.values[out]


def _constant_of(name: str, attribute: onnx.AttributeProto) -> Known | None:
    """The value that one attribute of a Constant node states, if it is of the right kind."""
    if attribute.HasField("t"):
        return constant(name, attribute.t)
    if attribute.HasField("sparse_tensor"):
        sparse = attribute.sparse_tensor
        type_ = tensor_type(sparse.values.data_type, tuple(sparse.dims))
        return known(name, type_, constant=True)
    if attribute.name not in _CONSTANT_TYPES:
        return None
    array = np.asarray(attribute_value(attribute))
    type_ = tensor_type(_CONSTANT_TYPES[attribute.name], array.shape)
    data = None if array.dtype.kind in "SO" else array
    return known(name, type_, data=data, constant=True)


_CONSTANT_TYPES = {
    "value_float": onnx.TensorProto.FLOAT,
    "value_floats": onnx.TensorProto.FLOAT,
    "value_int": onnx.TensorProto.INT64,
    "value_ints": onnx.TensorProto.INT64,
    "value_string": onnx.TensorProto.STRING,
    "value_strings": onnx.TensorProto.STRING,
}


def _sparse(scope: Scope, sparse: onnx.SparseTensorProto) -> Known:
    type_ = tensor_type(sparse.values.data_type, tuple(sparse.dims))
    return known(scope.prefix + sparse.values.name, type_, constant=True)


def _or_hint(type_: onnx.TypeProto | None, hint: onnx.TypeProto | None) -> onnx.TypeProto | None:
    """The inferred type, or what the file states where inference found no full shape."""
    if hint is None or known("", type_).shape is not None:
        return type_
    if type_ is not None and type_.WhichOneof("value") not in (None, "tensor_type"):
        return type_
    return hint
