"""Which chains of recipes are worth making for a model: the visible table of what is tried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fitwright.adapt.legality import legal
from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import (
    Bf16,
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
)

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """The end of one chain: what follows fixed shapes and rewriting.

    Attributes:
        backends: at least one of these must run here for the chain to be worth making.
        only: operator kinds of which the model must hold at least one; empty: any model.
    """

    recipes: tuple[Recipe, ...]
    backends: frozenset[str]
    only: Collection[str] = ()


_ANY = frozenset({"onnxruntime", "openvino"})
_ORT = frozenset({"onnxruntime"})
_OPENVINO = frozenset({"openvino"})

# Cheap to make first, then by how often it pays on a CPU. What a pass refuses (missing
# instructions, no fitting operator) is not filtered here: `adapt` reports it with its reason.
ROWS: tuple[Row, ...] = (
    Row(recipes=(Bf16(),), backends=_OPENVINO),
    Row(recipes=(Int8Static(toolkit="onnxruntime"),), backends=_ANY),
    Row(recipes=(Int8Static(toolkit="nncf"),), backends=_OPENVINO),
    Row(recipes=(Int8Dynamic(),), backends=_ORT),
    Row(recipes=(Int8Weights(toolkit="onnxruntime"),), backends=_ANY),
    Row(recipes=(Int8Weights(toolkit="nncf"),), backends=_OPENVINO),
    Row(recipes=(Fp16Weights(),), backends=_ANY),
    Row(recipes=(Int4Weights(toolkit="onnxruntime"),), backends=_ORT),
    Row(recipes=(Int4Weights(toolkit="nncf"),), backends=_OPENVINO),
    Row(
        recipes=(Int8Static(toolkit="onnxruntime", method="percentile"),),
        backends=_ANY,
        only=CONVOLUTIONS,
    ),
    Row(
        recipes=(Int8Static(toolkit="onnxruntime", method="entropy"),),
        backends=_ANY,
        only=CONVOLUTIONS,
    ),
)


def agenda(summary: ModelSummary, device: Device, *, backends: Sequence[str]) -> Agenda:
    """What is worth making here, cheap before expensive; every chain opens with fixed shapes.

    Args:
        summary: whose operators decide which rows apply.
        device: where the result will run; only backends that run there count.
        backends: names of the backends the plan uses.
    """
    usable = set(backends) & (set(device.backends) or set(backends))
    kinds = {operator.kind for operator in summary.operators}
    bodies = (
        Body(
            recipes=row.recipes,
            backends=frozenset(row.backends & usable),
            seldom_faster=_seldom_faster(row.recipes),
        )
        for row in ROWS
        if row.backends & usable and (not row.only or kinds & set(row.only))
    )
    found = Agenda(rewrites=((FixShapes(),),), bodies=tuple(bodies))
    assert all(legal(chain) is None for chain in found.chains), "the table breaks its own rules"
    return found


def _seldom_faster(recipes: Chain) -> bool:
    """Weights only, or another way to choose the same int8 ranges: what they save is storage
    or accuracy, and time where one query is bound by reading the weights."""
    last = recipes[-1]
    if isinstance(last, Int8Static):
        return last.method != "minmax"
    return isinstance(last, Fp16Weights | Int8Weights | Int4Weights)
