"""Whether every name and note of a model is text: protobuf hands over bytes where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx

from fitwright.graph.protos import all_graphs, all_nodes, all_tensors, subgraphs
from fitwright.graph.refusal import refused


def require_text(model: onnx.ModelProto) -> None:
    """Refuse names, domains, notes and metadata that are not UTF-8."""
    for where, texts in _texts(model):
        if any(isinstance(text, bytes) for text in texts):
            raise refused(
                "FW207",
                f"A name or note of {where} is not text (UTF-8).",
                "The file is damaged; export or download it again.",
            )


def _texts(model: onnx.ModelProto) -> Iterator[tuple[str, Iterable[Any]]]:
    yield "the model", (model.producer_name, model.producer_version, model.domain)
    yield "the model", _notes(model)
    yield "the model", (o.domain for o in model.opset_import)
    nodes = list(all_nodes(model.graph.node))
    graphs = list(all_graphs(model.graph))
    for function in model.functions:
        inner = list(all_nodes(function.node))
        nodes += inner
        graphs += [g for n in inner for g in subgraphs(n)]
        yield "a function", (function.name, function.domain, function.overload)
        yield "a function", (*function.input, *function.output, *function.attribute)
        yield "a function", (o.domain for o in function.opset_import)
        yield "a function", _notes(function)
        yield "a function", (a.name for a in function.attribute_proto)
        yield from (("a value", _value(v)) for v in function.value_info)
    for node in nodes:
        yield "an operator", (node.op_type, node.domain, node.name, node.overload)
        yield "an operator", (*node.input, *node.output, *_notes(node))
        for a in node.attribute:
            yield "an attribute", (a.name, a.ref_attr_name, a.doc_string)
    for graph in graphs:
        yield "a graph", (graph.name, *_notes(graph))
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield "a value", _value(value)
    for tensor in all_tensors(model):
        yield "a tensor", (tensor.name, *_notes(tensor))
        yield "a tensor", (t for e in tensor.external_data for t in (e.key, e.value))


def _notes(message: Any) -> Iterator[Any]:
    yield message.doc_string
    for entry in message.metadata_props:
        yield from (entry.key, entry.value)


def _value(value: onnx.ValueInfoProto) -> Iterator[Any]:
    yield value.name
    yield from _notes(value)
    yield value.type.denotation
    if value.type.HasField("tensor_type"):
        for dim in value.type.tensor_type.shape.dim:
            yield from (dim.dim_param, dim.denotation)
