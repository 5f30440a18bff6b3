"""The passes that rewrite the graph: other operators that compute the same.

The work is done by `fitwright.graph.rewrite`, which knows no backend. The passes are here
because what they write must be what the backends read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.backends.suitability import kinds
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import (
    DropMasks,
    FuseActivation,
    FuseAttention,
    FuseNormalization,
    PlainAttention,
    Recipe,
    Simplify,
)
from fitwright.records.record import Record

if TYPE_CHECKING:
    from fitwright.graph.rewrite.rewriting import Rewriting


def _simplify(recipe: Recipe) -> Rewriting:
    from fitwright.graph.rewrite.simplify import simplify

    del recipe
    return simplify


def _fuse_normalization(recipe: Recipe) -> Rewriting:
    from fitwright.graph.rewrite.normalization import fuse_normalization

    del recipe
    return fuse_normalization


def _fuse_activation(recipe: Recipe) -> Rewriting:
    from fitwright.graph.rewrite.activation import fuse_activation

    del recipe
    return fuse_activation


def _fuse_attention(recipe: Recipe) -> Rewriting:
    from fitwright.graph.rewrite.attention import fuse_attention

    del recipe
    return fuse_attention


def _plain_attention(recipe: Recipe) -> Rewriting:
    from fitwright.graph.rewrite.attention import plain_attention

    del recipe
    return plain_attention


def _drop_masks(recipe: Recipe) -> Rewriting:
    from functools import partial

    from fitwright.graph.rewrite.promises import drop_masks

    assert isinstance(recipe, DropMasks), "the table gives each pass its own recipe"
    return partial(drop_masks, constant_inputs=dict(recipe.constant_inputs))


@dataclass(frozen=True, kw_only=True)
class RewritingPass:
    """One rewriting as a pass.

    Attributes:
        found_by: operator kinds of which the model must hold at least one; empty: any model.
        rewriting: the function that rewrites, imported when it is used.
    """

    found_by: frozenset[str]
    rewriting: Callable[[Recipe], Rewriting]
    requires: str = "static shapes and floating-point operators"
    ensures: str = "the interface is unchanged, and so are the outputs up to rounding"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """A model without the operators has nothing to rewrite."""
        del device
        if isinstance(recipe, DropMasks) and recipe.constant_inputs:
            return None
        if not self.found_by or kinds(summary) & self.found_by:
            return None
        return f"the model has none of {', '.join(sorted(self.found_by))}"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Rewrite and write, or say that there was nothing to change."""
        from fitwright.graph.rewrite.rewriting import rewrite

        out = request.folder / "model.onnx"
        tally = rewrite(request.model, out, by=self.rewriting(request.recipe))
        if not tally.modified:
            notes = tally.notes() or ("it found no place to change",)
            both = ("onnxruntime", "openvino")
            return TransformResult(file=request.model, backends=both, modified=False, notes=notes)
        return TransformResult(
            file=out, backends=settled(request.summary, out), notes=tally.notes()
        )


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (Simplify, ""): RewritingPass(found_by=frozenset(), rewriting=_simplify),
    (FuseNormalization, ""): RewritingPass(
        found_by=frozenset({"ReduceMean"}), rewriting=_fuse_normalization
    ),
    (FuseActivation, ""): RewritingPass(
        found_by=frozenset({"Erf", "Tanh", "HardSigmoid", "Clip"}), rewriting=_fuse_activation
    ),
    (DropMasks, ""): RewritingPass(found_by=frozenset({"IsNaN"}), rewriting=_drop_masks),
    (FuseAttention, ""): RewritingPass(found_by=frozenset({"Softmax"}), rewriting=_fuse_attention),
    (PlainAttention, ""): RewritingPass(
        found_by=frozenset({"Softmax"}), rewriting=_plain_attention
    ),
}
