"""Which chains of recipes are worth making for a model: the visible table of what is tried."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fitwright.adapt.legality import legal
from fitwright.records.agenda import Agenda, Body, Chain
from fitwright.records.device import Device
from fitwright.records.model import CONVOLUTIONS, RECURRENT, ModelSummary
from fitwright.records.recipe import (
    Bf16,
    DropMasks,
    FixShapes,
    Fp16Weights,
    FuseActivation,
    FuseAttention,
    FuseNormalization,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    PlainAttention,
    Recipe,
    Simplify,
)

ATTENTIVE = frozenset({"Softmax", "Attention", "MultiHeadAttention"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """The end of one chain: what follows fixed shapes and rewriting.

    Attributes:
        backends: at least one of these must run here for the chain to be worth making.
        only: operator kinds of which the model must hold at least one; empty: any model.
        without: operator kinds of which it must hold none.
        finer_ranges: as in `Body`.
    """

    recipes: tuple[Recipe, ...]
    backends: frozenset[str]
    only: Collection[str] = ()
    without: Collection[str] = ()
    finer_ranges: bool = False

    def fits(self, kinds: Collection[str]) -> bool:
        """Whether the row is for a model of these operators."""
        held = set(kinds)
        return (not self.only or not held.isdisjoint(self.only)) and held.isdisjoint(self.without)


_ANY = frozenset({"onnxruntime", "openvino"})
_ORT = frozenset({"onnxruntime"})
_OPENVINO = frozenset({"openvino"})

# Cheap to make first, then by how often it pays on a CPU; attention in int8 stays nearest to
# the original in NNCF's scheme for transformers, and elsewhere zero points only make up for
# ranges that are too coarse without them. What a pass refuses (missing instructions, no
# fitting operator) is not filtered here: `adapt` reports it with its reason.
ROWS: tuple[Row, ...] = (
    Row(recipes=(Bf16(),), backends=_OPENVINO),
    Row(recipes=(Int8Static(toolkit="nncf", symmetric=True, smooth=False),), backends=_OPENVINO),
    Row(recipes=(Int8Static(toolkit="onnxruntime"),), backends=_ANY),
    Row(recipes=(Int8Static(toolkit="nncf"),), backends=_OPENVINO, only=ATTENTIVE),
    Row(recipes=(Int8Static(toolkit="nncf", symmetric=True),), backends=_OPENVINO, only=ATTENTIVE),
    Row(recipes=(Int8Dynamic(),), backends=_ORT),
    Row(recipes=(Int8Dynamic(per_channel=False),), backends=_ORT, only=RECURRENT),
    Row(recipes=(Int8Weights(toolkit="onnxruntime"),), backends=_ANY),
    Row(recipes=(Int8Weights(toolkit="nncf"),), backends=_OPENVINO),
    Row(recipes=(Fp16Weights(),), backends=_ANY),
    Row(recipes=(Int4Weights(toolkit="onnxruntime"),), backends=_ORT),
    Row(recipes=(Int4Weights(toolkit="nncf"),), backends=_OPENVINO),
    Row(
        recipes=(Int8Static(toolkit="nncf"),),
        backends=_OPENVINO,
        without=ATTENTIVE,
        finer_ranges=True,
    ),
    Row(
        recipes=(Int8Static(toolkit="onnxruntime", method="percentile"),),
        backends=_ANY,
        only=CONVOLUTIONS,
        finer_ranges=True,
    ),
    Row(
        recipes=(Int8Static(toolkit="onnxruntime", method="entropy"),),
        backends=_ANY,
        only=CONVOLUTIONS,
        finer_ranges=True,
    ),
)


# What each rewriting looks for; empty: any model may hold it.
REWRITINGS: Mapping[type[Recipe], frozenset[str]] = MappingProxyType(
    {
        Simplify: frozenset(),
        FuseNormalization: frozenset({"ReduceMean"}),
        FuseActivation: frozenset({"Erf", "Tanh", "HardSigmoid", "Clip"}),
        DropMasks: frozenset({"IsNaN"}),
        FuseAttention: frozenset({"Softmax"}),
        PlainAttention: frozenset({"Softmax"}),
    }
)


def rewrites(
    summary: ModelSummary,
    device: Device,
    *,
    backends: Sequence[str],
    constant_inputs: Mapping[str, float] = MappingProxyType({}),
) -> tuple[Chain, ...]:
    """Chains of growing rewriting, each opened by fixed shapes; what they write runs anywhere.

    Args:
        summary: whose operators decide which rewritings apply.
        device: where the result will run; only backends that run there count.
        backends: names of the backends the plan uses.
        constant_inputs: the contract's promises, input by input.
    """
    if not _usable(backends, device) & _ANY:
        return ((FixShapes(),),)
    kinds = {operator.kind for operator in summary.operators}
    masks = DropMasks(constant_inputs=tuple(sorted(constant_inputs.items())))
    stages: tuple[Chain, ...] = (
        (Simplify(),),
        (FuseNormalization(), FuseActivation()),
        (FuseAttention(),),
    )
    chain: Chain = (FixShapes(),)
    found: list[Chain] = [chain]
    for stage in stages:
        apply = tuple(r for r in stage if not REWRITINGS[type(r)] or kinds & REWRITINGS[type(r)])
        if apply:
            chain = (*chain, *apply)
            found.append(chain)
    ends: list[Chain] = [(FuseAttention(),)] if FuseAttention() in chain else [()]
    before = tuple(recipe for recipe in chain if recipe != FuseAttention())
    if FuseAttention() in chain and "openvino" in _usable(backends, device):
        ends.append((PlainAttention(),))  # ONNX Runtime fuses no such form
        found.append((*before, PlainAttention()))
    guards = kinds & REWRITINGS[DropMasks] and FuseAttention() not in chain
    if masks.constant_inputs or guards:  # attention recipes drop dead guards themselves
        found += [(*before, masks, *end) for end in ends]
    return tuple(found)


def agenda(
    summary: ModelSummary,
    device: Device,
    *,
    backends: Sequence[str],
    constant_inputs: Mapping[str, float] = MappingProxyType({}),
    shorter: Sequence[Recipe] = (),
) -> Agenda:
    """What is worth making here, cheap before expensive; every chain opens with fixed shapes.

    Args:
        summary: whose operators decide which rows apply.
        device: where the result will run; only backends that run there count.
        backends: names of the backends the plan uses.
        constant_inputs: the contract's promises, input by input.
        shorter: what spares the padding of queries.
    """
    usable = _usable(backends, device)
    kinds = {operator.kind for operator in summary.operators}
    bodies = (
        Body(
            recipes=row.recipes,
            backends=frozenset(row.backends & usable),
            seldom_faster=isinstance(row.recipes[-1], Fp16Weights | Int8Weights | Int4Weights),
            finer_ranges=row.finer_ranges,
        )
        for row in ROWS
        if row.backends & usable and row.fits(kinds)
    )
    first = rewrites(summary, device, backends=backends, constant_inputs=constant_inputs)
    found = Agenda(rewrites=first, bodies=tuple(bodies), shorter=tuple(shorter))
    assert all(legal(chain) is None for chain in found.chains), "the table breaks its own rules"
    return found


def _usable(backends: Sequence[str], device: Device) -> set[str]:
    """Those of the plan's backends that run on the device; all, where it names none."""
    return set(backends) & (set(device.backends) or set(backends))
