"""Walks over the protobuf tree: every graph, node and tensor, wherever it is nested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

FunctionKey = tuple[str, str, str]
"""Domain, name and overload of a model-local function."""


def standard(domain: str) -> str:
    """The domain with its alias resolved: ``ai.onnx`` is the empty domain."""
    return "" if domain == "ai.onnx" else domain


def called(node: onnx.NodeProto) -> FunctionKey:
    """The function this node would call, if the model has it."""
    return standard(node.domain), node.op_type, node.overload


def defined(function: onnx.FunctionProto) -> FunctionKey:
    """The key other nodes call this function by."""
    return standard(function.domain), function.name, function.overload


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Bodies of control flow: If, Loop, Scan, SequenceMap."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """These nodes and those in their bodies, at any depth."""
    for node in nodes:
        yield node
        for body in subgraphs(node):
            yield from all_nodes(body.node)


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every body beneath it."""
    yield graph
    for node in graph.node:
        for body in subgraphs(node):
            yield from all_graphs(body)


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant of the model: initializers and attributes, in functions too."""
    for graph in _graphs(model):
        yield from graph.initializer
    for attribute in _attributes(model):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
    for sparse in all_sparse_tensors(model):
        yield from (sparse.values, sparse.indices)


def all_sparse_tensors(model: onnx.ModelProto) -> Iterator[onnx.SparseTensorProto]:
    """Every sparse constant of the model."""
    for graph in _graphs(model):
        yield from graph.sparse_initializer
    for attribute in _attributes(model):
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor
        yield from attribute.sparse_tensors


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    yield from all_graphs(model.graph)
    for function in model.functions:
        for node in all_nodes(function.node):
            yield from subgraphs(node)


def _attributes(model: onnx.ModelProto) -> Iterator[onnx.AttributeProto]:
    for node in all_nodes(model.graph.node):
        yield from node.attribute
    for function in model.functions:
        yield from function.attribute_proto
        for node in all_nodes(function.node):
            yield from node.attribute
