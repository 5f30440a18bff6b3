"""Whether the graph is one: every name made once, before it is read, by a known operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import onnx

from fitwright.graph.protos import all_nodes, called, defined, standard, subgraphs
from fitwright.graph.refusal import refused, shown, some

KNOWN_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
MAX_BODY_DEPTH = 24

Outer = tuple[set[str], ...]
"""The names visible from enclosing graphs, one set each."""

_AGAIN = "The exporter made an invalid graph; export the model again with a current version."


def require_sound(model: onnx.ModelProto) -> None:
    """Refuse a model without work, with unknown domains, or whose names do not add up."""
    if not model.graph.node:
        raise refused("FW228", "The model has no operators.", "Export a model that computes.")
    if not model.graph.output:
        raise refused("FW228", "The model has no outputs.", "Export it with at least one output.")
    _require_functions_once(model)
    _require_domains(model)
    _require_opsets(model)
    _require_names_in_graph(model.graph, ())
    for function in model.functions:
        made = _require_names(function.node, set(function.input), ())
        _require_made(function.output, made, where=f"function '{shown(function.name)}'")


def _require_functions_once(model: onnx.ModelProto) -> None:
    times = Counter(defined(f) for f in model.functions)
    if twice := sorted(key[1] for key, n in times.items() if n > 1):
        raise refused("FW225", f"Local functions are defined twice: {some(twice)}.", _AGAIN)


def _require_domains(model: onnx.ModelProto) -> None:
    local = {defined(f) for f in model.functions}
    bodies = [n for f in model.functions for n in f.node]
    for node in all_nodes((*model.graph.node, *bodies)):
        if standard(node.domain) in KNOWN_DOMAINS or called(node) in local:
            continue
        raise refused(
            "FW220",
            f"Operator '{shown(node.op_type)}' is of the domain '{shown(node.domain)}', which "
            "no backend here has.",
            "Export the model with standard ONNX operators, or with the custom operator as a "
            "model-local function.",
        )


def _require_opsets(model: onnx.ModelProto) -> None:
    """Every domain in use has its version stated once, from 1 on."""
    local = {defined(f) for f in model.functions}
    for part, nodes in ((model, model.graph.node), *((f, f.node) for f in model.functions)):
        stated = {(standard(o.domain), o.version) for o in part.opset_import if o.version >= 1}
        used = {standard(n.domain) for n in all_nodes(nodes) if called(n) not in local}
        for domain in sorted(used):
            versions = sum(d == domain for d, _ in stated)
            if versions != 1:
                raise refused(
                    "FW223",
                    f"The model uses operators of '{domain or 'ai.onnx'}' and states {versions} "
                    "versions of them; it must state one.",
                    _AGAIN,
                )


def _require_names_in_graph(graph: onnx.GraphProto, outer: Outer) -> None:
    inputs = [i.name for i in graph.input]
    constants = [t.name for t in graph.initializer]
    constants += [s.values.name for s in graph.sparse_initializer]
    _require_once(inputs, "input")
    _require_once(constants, "initializer")
    made = _require_names(graph.node, {*inputs, *constants}, outer)
    _require_made((o.name for o in graph.output), made, *outer, where="the graph")


def _require_names(nodes: Sequence[onnx.NodeProto], given: set[str], outer: Outer) -> set[str]:
    """The names made; checks that each node reads only what is there already."""
    if len(outer) > MAX_BODY_DEPTH:
        raise refused("FW230", f"Control flow is nested over {MAX_BODY_DEPTH} deep.", _AGAIN)
    made = set(given)
    for node in nodes:
        if not node.op_type:
            raise refused("FW223", f"Node '{shown(node.name)}' names no operator.", _AGAIN)
        for name in node.input:
            if name and name not in made and not any(name in o for o in outer):
                raise _not_there(name, node, nodes)
        for body in subgraphs(node):
            _require_names_in_graph(body, (*outer, made))
        for name in filter(None, node.output):
            if name in made:
                raise refused("FW225", f"'{shown(name)}' is made twice.", _AGAIN)
            made.add(name)
    return made


def _not_there(name: str, node: onnx.NodeProto, nodes: Iterable[onnx.NodeProto]) -> Exception:
    reader = f"'{shown(node.name or node.op_type)}' ({shown(node.op_type)})"
    if any(name in other.output for other in nodes):
        return refused(
            "FW226",
            f"The nodes are out of order: {reader} reads '{shown(name)}' before it is made.",
            "Sort them: onnx_ir.load(path), model.graph.sort(), onnx_ir.save(model, path).",
        )
    return refused("FW224", f"{reader} reads '{shown(name)}', which nothing makes.", _AGAIN)


def _require_once(names: Iterable[str], what: str) -> None:
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise refused("FW225", f"The graph has the same {what} twice: {some(twice)}.", _AGAIN)


def _require_made(names: Iterable[str], *made: set[str], where: str) -> None:
    if missing := [name for name in names if not any(name in there for there in made)]:
        raise refused("FW227", f"Nothing in {where} makes the output {some(missing)}.", _AGAIN)
