"""The passes that spare padding: several lengths in one file, or queries cut to their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import Buckets, Recipe, Trim
from fitwright.records.record import Record


@dataclass(frozen=True, kw_only=True)
class BucketsPass:
    """Every length a branch, chosen by the mask of a query; weights are stored once."""

    requires: str = "the ONNX model at each length, and a mask whose zeros are padding"
    ensures: str = "the same outputs up to a query's last token, zeros behind the length it took"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """The mask must be an input; what else may be in the way the files tell."""
        del device
        return _lacks_mask(recipe, summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Join the lengths."""
        from fitwright.graph.buckets import merge_lengths

        assert isinstance(request.recipe, Buckets)
        out = request.folder / "model.onnx"
        merge_lengths(request.parts, out, mask=request.recipe.mask)
        return TransformResult(file=out, backends=settled(request.summary, out))


@dataclass(frozen=True, kw_only=True)
class TrimPass:
    """A few operators at the front cut the inputs, others at the end fill up the outputs."""

    requires: str = "the ONNX model at three lengths, and a mask whose zeros are padding"
    ensures: str = "the same outputs up to a query's last token, zeros further behind"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """As for several lengths."""
        del device
        return _lacks_mask(recipe, summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Free the length."""
        from fitwright.graph.trim import trim_padding

        assert isinstance(request.recipe, Trim)
        out = request.folder / "model.onnx"
        trim_padding(request.parts, out, mask=request.recipe.mask)
        return TransformResult(file=out, backends=settled(request.summary, out))


def _lacks_mask(recipe: Recipe, summary: ModelSummary) -> str | None:
    assert isinstance(recipe, Buckets | Trim), "the table gives each pass its own recipe"
    if recipe.mask in {i.name for i in summary.inputs}:
        return None
    return f"the model has no input '{recipe.mask}'"


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (Buckets, ""): BucketsPass(),
    (Trim, ""): TrimPass(),
}
