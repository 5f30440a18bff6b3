"""Control flow: If, Loop and Scan, counted as their bodies.

If: the branch its constant condition takes, else the larger one. Loop and Scan: the body
times the trip count, when the model states it; else uncounted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from fitwright.graph.cost.operator import Cost
from fitwright.graph.known import Known, known, tensor_type
from fitwright.graph.lifetimes import peak_bytes, traffic
from fitwright.graph.scope import Gap, Scope, Step, attribute_values, body, distinct

WalkGraph = Callable[[onnx.GraphProto, Scope], list[Step]]
Control = Callable[[onnx.NodeProto, str, Scope, WalkGraph], Step]


@dataclass(frozen=True, kw_only=True)
class _Walked:
    """A body walked once: its steps and what its outputs stand for."""

    steps: Sequence[Step]
    outputs: tuple[Known | None, ...]

    @property
    def flops(self) -> int:
        """Both kinds together, to tell the larger branch."""
        return sum(s.cost.flops + s.cost.elementwise_flops for s in self.steps if s.cost)


def _walk_body(
    graph: onnx.GraphProto,
    inputs: Sequence[Known],
    *,
    name: str,
    scope: Scope,
    walk: WalkGraph,
) -> _Walked:
    inner = Scope(
        library=scope.library,
        prefix=f"{name}/",
        opsets=scope.opsets,
        outer=scope,
        attributes=scope.attributes,
    )
    for formal, value in zip(graph.input, inputs, strict=False):
        inner.values[formal.name] = value
    steps = walk(graph, inner)
    return _Walked(steps=steps, outputs=tuple(inner.find(o.name) for o in graph.output))


def _step(
    node: onnx.NodeProto,
    *,
    name: str,
    scope: Scope,
    walked: Sequence[_Walked],
    chosen: _Walked,
    times: int | None,
    types: Sequence[onnx.TypeProto | None],
) -> Step:
    """The operator as one step: its bodies' work, captures and inner peak."""
    outputs = [
        known(scope.prefix + out, type_) if out else None
        for out, type_ in zip(node.output, types, strict=False)
    ]
    scope.values.update((o, v) for o, v in zip(node.output, outputs, strict=False) if v)
    gaps = list(dict.fromkeys(g for s in chosen.steps for g in s.gaps))
    if times is None:
        gaps.append(Gap(kind=node.op_type, domain="", reason="trip count unknown"))
    elif gaps:
        gaps.append(Gap(kind=node.op_type, domain="", reason="its body holds uncounted operators"))
    elif any(o is not None and o.is_tensor_of_unknown_size for o in outputs):
        gaps.append(Gap(kind=node.op_type, domain="", reason="shape of the output is unknown"))
    made = {w.name for one in walked for s in one.steps for w in s.writes}
    captured = [r for one in walked for s in one.steps for r in s.reads if r.name not in made]
    own = [i for i in scope.inputs(node) if i is not None]
    return Step(
        name=name,
        kind=node.op_type,
        domain="",
        reads=distinct([*own, *(c for c in captured if not c.name.endswith(_GIVEN))]),
        writes=tuple(o for o in outputs if o is not None),
        cost=None if gaps else _times(chosen.steps, times or 0),
        gaps=tuple(gaps),
        inner_peak_bytes=max(peak_bytes(one.steps) for one in walked),
    )


_GIVEN = "\0given"
"""Marks the names of values that a body gets from its operator, not from the graph."""


def _times(steps: Sequence[Step], times: int) -> Cost:
    moved = [traffic(s) for s in steps]
    costs = [s.cost for s in steps if s.cost is not None]
    return Cost(
        flops=times * sum(c.flops for c in costs),
        elementwise_flops=times * sum(c.elementwise_flops for c in costs),
        bytes_read=times * sum(read for read, _ in moved),
        bytes_written=times * sum(written for _, written in moved),
    )


def walk_if(node: onnx.NodeProto, name: str, scope: Scope, walk: WalkGraph) -> Step:
    """The branch that a constant condition takes, else the larger of the two."""
    condition = scope.inputs(node)[0]
    branches = []
    for which in ("then_branch", "else_branch"):
        graph = body(node, which) or onnx.GraphProto()
        branches.append(_walk_body(graph, [], name=f"{name}.{which}", scope=scope, walk=walk))
    chosen = max(branches, key=lambda b: b.flops)
    if condition is not None and condition.data is not None and condition.data.size == 1:
        chosen = branches[0 if bool(condition.data.reshape(())) else 1]
        branches = [chosen]
    return _step(
        node,
        name=name,
        scope=scope,
        walked=branches,
        chosen=_worst(chosen, branches),
        times=1,
        types=[_common([b.outputs for b in branches], i) for i in range(len(node.output))],
    )


def _worst(chosen: _Walked, branches: Sequence[_Walked]) -> _Walked:
    """A branch with a gap may be the larger one: then nothing is known."""
    return next((b for b in branches if any(s.gaps for s in b.steps)), chosen)


def _common(outputs: Sequence[Sequence[Known | None]], index: int) -> onnx.TypeProto | None:
    """The type both branches give; without a shape where they differ."""
    found = [o[index] for o in outputs if index < len(o)]
    first = found[0] if found else None
    if first is None or any(f is None or f.type is None for f in found):
        return None
    if all(f is not None and (f.dtype, f.shape) == (first.dtype, first.shape) for f in found):
        return first.type
    return _shapeless(first.type)


def _shapeless(type_: onnx.TypeProto | None) -> onnx.TypeProto | None:
    if type_ is None or not type_.HasField("tensor_type"):
        return type_
    return tensor_type(type_.tensor_type.elem_type, None)


def walk_loop(node: onnx.NodeProto, name: str, scope: Scope, walk: WalkGraph) -> Step:
    """The body times a constant trip count whose condition stays true."""
    graph = body(node, "body") or onnx.GraphProto()
    limit, condition, *carried = [*scope.inputs(node), None, None][: max(2, len(node.input))]
    walked, types = _loop_body(graph, carried, name=name, scope=scope, walk=walk)
    trips = _trips(limit, condition, walked)
    scanned = [_stacked(o, trips, 0) for o in walked.outputs[1 + len(carried) :]]
    return _step(
        node,
        name=name,
        scope=scope,
        walked=[walked],
        chosen=walked,
        times=trips,
        types=[*types, *scanned],
    )


def _loop_body(
    graph: onnx.GraphProto,
    carried: Sequence[Known | None],
    *,
    name: str,
    scope: Scope,
    walk: WalkGraph,
) -> tuple[_Walked, list[onnx.TypeProto | None]]:
    """Walked with the first trip's shapes; again without them where a trip changes them."""
    types = [c.type if c is not None else None for c in carried]
    for _ in range(2):
        first = [
            known(f"{name}/trip{_GIVEN}", tensor_type(onnx.TensorProto.INT64, ())),
            known(
                f"{name}/cond{_GIVEN}",
                tensor_type(onnx.TensorProto.BOOL, ()),
                data=np.array(True),
            ),
        ]
        given = [known(f"{name}/{i}{_GIVEN}", type_) for i, type_ in enumerate(types)]
        walked = _walk_body(graph, [*first, *given], name=name, scope=scope, walk=walk)
        ends = walked.outputs[1 : 1 + len(given)]
        after = [
            start.type if end is not None and end.shape == start.shape else _shapeless(start.type)
            for start, end in zip(given, ends, strict=False)
        ]
        if [_text(t) for t in after] == [_text(t) for t in types]:
            break
        types = after
    return walked, types


def _text(type_: onnx.TypeProto | None) -> bytes:
    return b"" if type_ is None else bytes(type_.SerializeToString())


def _trips(limit: Known | None, condition: Known | None, walked: _Walked) -> int | None:
    """The trip count, when nothing but a constant limit can end the loop."""
    if condition is not None and condition.data is not None and not condition.data.all():
        return 0
    goes_on = walked.outputs[0] if walked.outputs else None
    never_stops = goes_on is not None and goes_on.data is not None and bool(goes_on.data.all())
    starts = condition is None or condition.data is not None
    if limit is None or limit.data is None or limit.data.size != 1:
        return None
    if not (never_stops and starts):
        return None
    return max(0, int(limit.data.reshape(-1)[0]))


def _stacked(output: Known | None, trips: int | None, axis: int) -> onnx.TypeProto | None:
    """The type of one body output gathered over all trips."""
    if output is None or output.type is None or not output.type.HasField("tensor_type"):
        return None
    element = output.type.tensor_type.elem_type
    if output.shape is None or trips is None:
        return tensor_type(element, None)
    at = axis % (len(output.shape) + 1)
    return tensor_type(element, (*output.shape[:at], trips, *output.shape[at:]))


def walk_scan(node: onnx.NodeProto, name: str, scope: Scope, walk: WalkGraph) -> Step:
    """The body times the length of the scanned axis (opset 9 on)."""
    graph = body(node, "body") or onnx.GraphProto()
    attributes = attribute_values(node)
    num_scanned = int(attributes.get("num_scan_inputs", 0))
    inputs = scope.inputs(node)
    states, scanned = inputs[: len(inputs) - num_scanned], inputs[len(inputs) - num_scanned :]
    axes = attributes.get("scan_input_axes") or [0] * num_scanned
    slices = [_slice(s, a) for s, a in zip(scanned, axes, strict=False)]
    given = [
        known(f"{name}/{i}{_GIVEN}", type_)
        for i, type_ in enumerate(
            [*(s.type if s else None for s in states), *(type_ for type_, _ in slices)]
        )
    ]
    walked = _walk_body(graph, given, name=name, scope=scope, walk=walk)
    lengths = {length for _, length in slices}
    trips = lengths.pop() if len(lengths) == 1 and scope.opsets.get("", 1) >= 9 else None
    ends = walked.outputs[len(states) :]
    out_axes = attributes.get("scan_output_axes") or [0] * len(ends)
    types = [*(o.type if o else None for o in walked.outputs[: len(states)])]
    types += [_stacked(o, trips, a) for o, a in zip(ends, out_axes, strict=False)]
    return _step(
        node, name=name, scope=scope, walked=[walked], chosen=walked, times=trips, types=types
    )


def _slice(value: Known | None, axis: int) -> tuple[onnx.TypeProto | None, int | None]:
    """The type of one slice along the axis, and how many there are."""
    if value is None or value.type is None or not value.type.HasField("tensor_type"):
        return None, None
    element = value.type.tensor_type.elem_type
    if value.shape is None or not -len(value.shape) <= axis < len(value.shape):
        return tensor_type(element, None), None
    at = axis % len(value.shape)
    return tensor_type(element, (*value.shape[:at], *value.shape[at + 1 :])), value.shape[at]


CONTROL: Mapping[str, Control] = {"If": walk_if, "Loop": walk_loop, "Scan": walk_scan}
