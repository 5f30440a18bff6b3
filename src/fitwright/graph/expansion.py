"""How much work reading a model is when its functions are expanded: counted, never done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import onnx

from fitwright.graph.protos import FunctionKey, called, defined, subgraphs
from fitwright.graph.refusal import refused, some

MAX_VISITS = 100_000
MAX_DEPTH = 64
_MANY = 10**15


@dataclass(kw_only=True)
class _Calls:
    """What one graph or function body calls directly.

    Attributes:
        times: visits of each operator or function called; nodes in a Loop count twice per
            level, since a body may be walked again once its shapes are known to change.
        depth: of the deepest call site below this body, by callee.
    """

    times: Counter[FunctionKey] = field(default_factory=Counter)
    depth: dict[FunctionKey, int] = field(default_factory=dict)


def require_small_expansion(model: onnx.ModelProto) -> None:
    """Refuse recursive functions and those that expand beyond the budget.

    Works on the call graph, bottom up: the size of a function is one per own node plus
    the sizes of those it calls. Time is linear in the file.
    """
    calls = {defined(f): _calls(f.node) for f in model.functions}
    size, depth = _expanded(calls)
    if recursive := sorted(key[1] for key in calls if key not in size):
        raise refused(
            "FW229",
            f"Local functions call themselves, directly or in a circle: {some(recursive)}.",
            "ONNX forbids recursion; export the model again.",
        )
    visits, deepest = _measure(_calls(model.graph.node), size, depth)
    if visits > MAX_VISITS or deepest > MAX_DEPTH:
        raise refused(
            "FW230",
            f"The model expands to {_short(visits)} operators, nested {deepest} deep; the budget "
            f"is {MAX_VISITS:,} operators and {MAX_DEPTH} deep.",
            "A model made to exhaust its reader looks like this. If it is yours, export it "
            "without nested functions.",
        )


def _calls(nodes: Iterable[onnx.NodeProto]) -> _Calls:
    calls = _Calls()
    for node, times, depth in _weighted(nodes, 1, 0):
        key = called(node)
        calls.times[key] += times
        calls.depth[key] = max(calls.depth.get(key, 0), depth)
    return calls


def _weighted(
    nodes: Iterable[onnx.NodeProto], times: int, depth: int
) -> Iterator[tuple[onnx.NodeProto, int, int]]:
    """Every node at any depth, how often it is visited, and how deep it lies."""
    for node in nodes:
        yield node, times, depth
        again = 2 * times if node.op_type == "Loop" else times
        for body in subgraphs(node):
            yield from _weighted(body.node, again, depth + 1)


def _measure(
    calls: _Calls, size: Mapping[FunctionKey, int], depth: Mapping[FunctionKey, int]
) -> tuple[int, int]:
    """Visits and nesting of one body, from those of the functions it calls."""
    visits = sum(times * (1 + size.get(key, 0)) for key, times in calls.times.items())
    nested = [at + (1 + depth[key] if key in depth else 0) for key, at in calls.depth.items()]
    return min(visits, _MANY), max(nested, default=0)


def _expanded(
    calls: Mapping[FunctionKey, _Calls],
) -> tuple[dict[FunctionKey, int], dict[FunctionKey, int]]:
    """Visits and nesting per function, callees first; functions on a cycle are absent."""
    waits_for = {key: {c for c in inner.times if c in calls} for key, inner in calls.items()}
    callers: dict[FunctionKey, list[FunctionKey]] = {key: [] for key in calls}
    for key, inner in waits_for.items():
        for one in inner:
            callers[one].append(key)
    size: dict[FunctionKey, int] = {}
    depth: dict[FunctionKey, int] = {}
    ready = [key for key, inner in waits_for.items() if not inner]
    while ready:
        key = ready.pop()
        size[key], depth[key] = _measure(calls[key], size, depth)
        for caller in callers[key]:
            waits_for[caller].discard(key)
            if not waits_for[caller]:
                ready.append(caller)
    return size, depth


def _short(number: int) -> str:
    return f"{number:,}" if number < _MANY else "over 10^15"
