"""Attention written out in operators becomes one operator, or the plain form of it.

softmax(scale * Q K^T + mask) V, however the scale and the layouts are spread over the graph,
becomes ``Attention`` of opset 23: ONNX Runtime reads it as one kernel, OpenVINO as
ScaledDotProductAttention. Or it becomes product, scale, mask, softmax and product with nothing
between, which OpenVINO fuses too, without the guard against NaN that it puts around the
operator wherever there is a mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fitwright.graph.rewrite.edit import Tally, Workbench, known_sizes, nodes_of, put, sizes
from fitwright.graph.rewrite.masks import guarded_softmax, may_hide_a_row
from fitwright.graph.rewrite.match import array, is_standard
from fitwright.graph.rewrite.opset import hindrance, raise_opset
from fitwright.graph.rewrite.scores import taken_apart, unscaled
from fitwright.graph.rewrite.views import View, emit, merge_views, view

OPSET = 23
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
_HEADS_INSIDE = (0, 2, 1, 3)
"""Between (batch, heads, tokens, size) and (batch, tokens, heads, size), both ways."""
_SWAPPED = (0, 1, 3, 2)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One attention in the graph. B batch, H heads, S queries, T keys, D and E head sizes.

    Attributes:
        query: (B, H, S, D), or (H, S, D); key: (B, H, D, T) or without B, as the product
            takes it; value: (B, H, T, E) or without B.
        masks: what is added to the scores, each broadcast to (B, H, S, T).
        scale: of the scores.
        last: the product with the values, whose output is the attention.
        guarded: queries that see no key give zeros; without, softmax would give NaN.
        detours: the graph has a guard, or a scale or masks in several places.
    """

    query: ir.Value
    key: ir.Value
    value: ir.Value
    masks: tuple[ir.Value, ...]
    scale: float
    last: ir.Node
    guarded: bool = False
    detours: bool = False


@dataclass(frozen=True, kw_only=True)
class Mask:
    """The masks of an attention as one, of shape (B or 1, H or 1, S, T).

    Attributes:
        sees: 1 for each query that sees some key, else 0, (B or 1, H or 1, S, 1); None where
            every query sees one.
    """

    added: ir.Value
    sees: ir.Value | None


def fuse_attention(model: ir.Model) -> Tally:
    """Replace every attention that can be; raises the opset to 23 where there is one.

    Requires: static shapes, stated in the graph. Ensures: the same outputs up to rounding.
    """
    tally = Tally()
    found = _places(model.graph, tally)
    if not found:
        return tally
    if why := hindrance(model, OPSET):
        for _ in found:
            tally.leave(f"the opset cannot be raised to {OPSET}: {why}")
        return tally
    raise_opset(model, OPSET)
    joined: dict[tuple[object, ...], Mask] = {}
    for place in found:
        _replace(model.graph, place, joined, by=_as_operator)
        tally.change("attention as one operator")
    merge_views(model.graph, Tally())
    return tally


def plain_attention(model: ir.Model) -> Tally:
    """Write every attention that has detours in its plain form.

    Requires: static shapes, stated in the graph. Ensures: the same outputs up to rounding.
    """
    tally = Tally()
    joined: dict[tuple[object, ...], Mask] = {}
    for place in _places(model.graph, tally):
        if not place.detours:
            tally.leave("attention in its plain form already")
            continue
        _replace(model.graph, place, joined, by=_as_products)
        tally.change("attention in its plain form")
    merge_views(model.graph, Tally())
    return tally


def _places(graph: ir.Graph, tally: Tally) -> list[Found]:
    return [
        place
        for node in nodes_of(graph)
        if is_standard(node, "Softmax") and (place := _looked_at(node, tally)) is not None
    ]


def _looked_at(softmax: ir.Node, tally: Tally) -> Found | None:
    """The attention around a softmax; None, and the reason kept, where it is none or unsafe."""
    looked = _find(softmax)
    if isinstance(looked, str):
        tally.leave(looked)
        return None
    return looked


def _find(softmax: ir.Node) -> Found | str:
    scores = softmax.inputs[0]
    shape = sizes(scores)
    if shape is None or len(shape) not in (3, 4):
        return "a softmax over scores that are not (batch, heads, queries, keys)"
    axis = softmax.attributes.get("axis")
    if axis is not None and axis.as_int() not in (-1, len(shape) - 1):
        return "a softmax over another axis than the keys"
    weights, guarded = guarded_softmax(softmax)
    last = _only_reader(weights, softmax, guarded=guarded)
    if last is None or not is_standard(last, "MatMul") or last.inputs[0] is not weights:
        return "a softmax whose weights do not go straight into one product with values"
    parts = taken_apart(scores)
    if isinstance(parts, str):
        return parts
    (query, by_query), (key, by_key) = (unscaled(x) for x in parts.product.inputs)
    if query is None or key is None or last.inputs[1] is None:
        return "a product without operands"
    found = Found(
        query=query,
        key=key,
        value=last.inputs[1],
        masks=parts.masks,
        scale=parts.scale * by_query * by_key,
        last=last,
        guarded=guarded and may_hide_a_row(parts.masks),
        detours=guarded or len(parts.masks) > 1 or by_query != 1.0 or by_key != 1.0,
    )
    return _misfit(found, parts.product) or found


def _only_reader(weights: ir.Value, softmax: ir.Node, *, guarded: bool) -> ir.Node | None:
    """The one node that reads the weights, provided nothing else reads the softmax."""
    if weights.is_graph_output() or softmax.outputs[0].is_graph_output():
        return None
    if not guarded and weights is not softmax.outputs[0]:
        return None
    users = {use.node for use in weights.uses()}
    return users.pop() if len(users) == 1 else None


def _misfit(found: Found, product: ir.Node) -> str | None:
    """Why the operands are not those of an attention, or None."""
    q, k, v = (sizes(x) for x in (found.query, found.key, found.value))
    out, scores = sizes(found.last.outputs[0]), sizes(product.outputs[0])
    if q is None or k is None or v is None or out is None or scores is None:
        return "operands whose shapes are not known"
    if len({len(q), len(k), len(v)}) > 1 or q[:-2] != k[:-2] or q[:-2] != v[:-2]:
        return "operands that are broadcast over batch or heads"
    if found.query.dtype not in _FLOATS:
        return f"scores in {found.query.dtype}"
    if not found.scale > 0:
        return "a scale that is not above 0"
    whole = (1, *scores) if len(scores) == 3 else scores
    for mask in found.masks:
        shape = sizes(mask)
        if shape is None or mask.dtype != found.query.dtype:
            return "a mask of unknown shape or another type than the scores"
        if len(shape) > len(scores) or np.broadcast_shapes(shape, whole) != whole:
            return "a mask that does not fit (batch, heads, queries, keys)"
    return None


Write = Callable[[Workbench, tuple[View, View, View], Mask | None, Found], ir.Value]
"""Writes one attention from Q, K and V of four axes, (batch, heads, tokens, size) each."""


def _replace(
    graph: ir.Graph, found: Found, joined: dict[tuple[object, ...], Mask], *, by: Write
) -> None:
    bench = Workbench(graph, found.last)
    out = found.last.outputs[0]
    q, k, v = (_four(view(x)) for x in (found.query, found.key, found.value))
    k = k.transposed(_SWAPPED)
    mask = _mask(bench, found, (*q.shape[:3], k.shape[2]), joined)
    made = by(bench, (q, k, v), mask, found)
    whole = known_sizes(out)
    put(made if len(whole) == 4 else bench.reshaped(made, whole), out)


def _as_operator(
    bench: Workbench, operands: tuple[View, View, View], mask: Mask | None, found: Found
) -> ir.Value:
    q, _, v = operands
    flat = [x for x in map(_flat, operands) if x is not None]
    if len(flat) == 3:
        return _attention_of_tokens(bench, flat, mask, found, heads=q.shape[1])
    made = _attention(bench, operands, mask, found, {}, (*q.shape[:3], v.shape[3]))
    return made if mask is None or mask.sees is None else _silenced(bench, made, mask.sees)


def _as_products(
    bench: Workbench, operands: tuple[View, View, View], mask: Mask | None, found: Found
) -> ir.Value:
    q, k, v = operands
    shape = (*q.shape[:3], k.shape[2])
    made = bench.node("MatMul", [emit(bench, q), emit(bench, k.transposed(_SWAPPED))], shape=shape)
    if not math.isclose(found.scale, 1.0):
        dtype = found.query.dtype
        assert dtype is not None, "checked by `_misfit`"
        scale = bench.constant(np.asarray(found.scale, dtype.numpy()), hint="scale")
        made = bench.node("Mul", [made, scale], shape=shape)
    if mask is not None:
        made = bench.node("Add", [made, mask.added], shape=shape)
    made = bench.node("Softmax", [made], {"axis": -1}, shape=shape)
    made = bench.node("MatMul", [made, emit(bench, v)], shape=(*q.shape[:3], v.shape[3]))
    return made if mask is None or mask.sees is None else _silenced(bench, made, mask.sees)


def _attention_of_tokens(
    bench: Workbench, operands: Sequence[View], mask: Mask | None, found: Found, *, heads: int
) -> ir.Value:
    """From operands of shape (B, tokens, H * size), without a transpose; (B, H, S, E)."""
    batch, queries, _ = operands[0].shape
    width = operands[2].shape[2]
    counts = {"q_num_heads": heads, "kv_num_heads": heads}
    made = _attention(bench, operands, mask, found, counts, (batch, queries, width))
    late = mask.sees if mask is not None else None
    if late is not None and known_sizes(late)[1] == 1:
        each = (*known_sizes(late)[:1], *known_sizes(late)[2:])
        made, late = _silenced(bench, made, bench.reshaped(late, each)), None
    inside = bench.reshaped(made, (batch, queries, heads, width // heads))
    apart = bench.transposed(inside, _HEADS_INSIDE)
    return apart if late is None else _silenced(bench, apart, late)


def _attention(
    bench: Workbench,
    operands: Sequence[View],
    mask: Mask | None,
    found: Found,
    attributes: dict[str, int],
    shape: Sequence[int],
) -> ir.Value:
    inputs = [emit(bench, x) for x in operands] + ([mask.added] if mask is not None else [])
    return bench.node(
        "Attention", inputs, {"scale": found.scale, **attributes}, shape=shape, like=found.query
    )


def _silenced(bench: Workbench, made: ir.Value, sees: ir.Value) -> ir.Value:
    return bench.node("Mul", [made, sees], shape=known_sizes(made))


def _four(found: View | None) -> View:
    """With an axis for the batch where there is none."""
    assert found is not None, "shapes are checked before"
    if len(found.shape) == 4:
        return found
    whole = found.reshaped((1, *found.shape))
    assert whole is not None, "an axis of size 1 can always be added"
    return whole


def _flat(found: View) -> View | None:
    """As (batch, tokens, heads * size) when a reshape alone gives that; else None."""
    batch, heads, tokens, size = found.shape
    flat = found.transposed(_HEADS_INSIDE).reshaped((batch, tokens, heads * size))
    if flat is None or any(kind == "Transpose" for kind, _ in flat.steps()):
        return None
    return flat


def _mask(
    bench: Workbench,
    found: Found,
    whole: Sequence[int],
    joined: dict[tuple[object, ...], Mask],
) -> Mask | None:
    """The masks as one; made once for all layers that share them."""
    masks = tuple(m for m in found.masks if not _adds_nothing(m))
    if not masks:
        return None
    key = (*masks, found.guarded)
    if key not in joined:
        added = _joined(bench, masks, whole)
        joined[key] = _bounded(bench, added) if found.guarded else Mask(added=added, sees=None)
    return joined[key]


def _bounded(bench: Workbench, mask: ir.Value) -> Mask:
    """The mask without minus infinity, and which queries it leaves a key.

    A query that sees none then weighs all keys alike, finitely, and its result is multiplied
    by 0: what the guard gave.
    """
    assert mask.dtype is not None, "checked by `_misfit`"
    dtype = mask.dtype.numpy()
    lowest = bench.constant(np.asarray(mask.dtype.min, dtype), hint="lowest")
    axes = bench.constant(np.asarray([-1], np.int64), hint="axes")
    shape = known_sizes(mask)
    best = bench.node("ReduceMax", [mask, axes], {"keepdims": 1}, shape=(*shape[:-1], 1))
    some = bench.node("Greater", [best, lowest], shape=(*shape[:-1], 1))
    some.dtype = ir.DataType.BOOL
    sees = bench.node("Cast", [some], {"to": mask.dtype.value}, shape=known_sizes(some), like=mask)
    return Mask(added=bench.node("Max", [mask, lowest], shape=shape), sees=sees)


def _joined(bench: Workbench, masks: tuple[ir.Value, ...], whole: Sequence[int]) -> ir.Value:
    joined = masks[0]
    for mask in masks[1:]:
        shape = np.broadcast_shapes(known_sizes(joined), known_sizes(mask))
        joined = bench.node("Add", [joined, mask], shape=shape)
    own = known_sizes(joined)
    shape = (*(1,) * (len(whole) - len(own)), *own)
    wanted = (*shape[:2], *whole[2:])
    if shape != own:
        joined = bench.reshaped(joined, shape)
    if shape != wanted:
        target = bench.constant(np.asarray(wanted, np.int64), hint="shape")
        joined = bench.node("Expand", [joined, target], shape=wanted)
    return joined


def _adds_nothing(mask: ir.Value) -> bool:
    """A constant of zeros."""
    values = array(mask)
    return values is not None and not values.any()
