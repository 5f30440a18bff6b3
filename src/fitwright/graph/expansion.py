"""How large a model becomes when its local functions are expanded: counted, never done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx

from fitwright.graph.protos import FunctionKey, all_nodes, called, defined
from fitwright.graph.refusal import refused, some

MAX_EXPANDED_NODES = 100_000
MAX_CALL_DEPTH = 64
_MANY = 10**15


def require_small_expansion(model: onnx.ModelProto) -> None:
    """Refuse recursive functions and those that expand beyond the budget.

    Works on the call graph, bottom up: the size of a function is one per own node plus
    the sizes of those it calls. Time is linear in the file.
    """
    if not model.functions and sum(1 for _ in all_nodes(model.graph.node)) <= MAX_EXPANDED_NODES:
        return
    functions = {defined(f): f for f in model.functions}
    calls = {key: Counter(called(n) for n in all_nodes(f.node)) for key, f in functions.items()}
    size, depth = _expanded(calls)
    if recursive := sorted(k[1] for k in calls if k not in size):
        raise refused(
            "FW229",
            f"Local functions call themselves, directly or in a circle: {some(recursive)}.",
            "ONNX forbids recursion; export the model again.",
        )
    top = Counter(called(n) for n in all_nodes(model.graph.node))
    total = sum(size.get(key, 1) * times for key, times in top.items())
    deepest = max((depth[key] for key in top if key in depth), default=0)
    if total > MAX_EXPANDED_NODES or deepest > MAX_CALL_DEPTH:
        raise refused(
            "FW230",
            f"The model expands to {_short(total)} operators with functions {deepest} deep; the "
            f"budget is {MAX_EXPANDED_NODES:,} operators and {MAX_CALL_DEPTH} deep.",
            "A model made to exhaust its reader looks like this. If it is yours, export it "
            "without nested functions.",
        )


def _expanded(
    calls: Mapping[FunctionKey, Counter[FunctionKey]],
) -> tuple[dict[FunctionKey, int], dict[FunctionKey, int]]:
    """Expanded nodes and call depth per function; functions on a cycle are absent."""
    waits_for = {key: {c for c in inner if c in calls} for key, inner in calls.items()}
    callers: dict[FunctionKey, list[FunctionKey]] = {key: [] for key in calls}
    for key, inner in waits_for.items():
        for one in inner:
            callers[one].append(key)
    size: dict[FunctionKey, int] = {}
    depth: dict[FunctionKey, int] = {}
    ready = [key for key, inner in waits_for.items() if not inner]
    while ready:
        key = ready.pop()
        total = sum(size.get(c, 1) * times for c, times in calls[key].items())
        size[key] = min(total, _MANY)
        depth[key] = 1 + max((depth[c] for c in calls[key] if c in depth), default=0)
        for caller in callers[key]:
            waits_for[caller].discard(key)
            if not waits_for[caller]:
                ready.append(caller)
    return size, depth


def _short(number: int) -> str:
    return f"{number:,}" if number < _MANY else "over 10^15"
