"""The pass that joins one network at several lengths in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import Buckets, Recipe
from fitwright.records.record import Record


@dataclass(frozen=True, kw_only=True)
class BucketsPass:
    """Every length a branch, chosen by the mask of a query; weights are stored once."""

    requires: str = "the ONNX model at each length, and a mask whose zeros are padding"
    ensures: str = "the same outputs up to a query's last token, zeros behind the length it took"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """The mask must be an input; what else may be in the way the files tell."""
        del device
        assert isinstance(recipe, Buckets), "the table gives each pass its own recipe"
        if recipe.mask in {i.name for i in summary.inputs}:
            return None
        return f"the model has no input '{recipe.mask}'"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Join the lengths."""
        from fitwright.graph.buckets import merge_lengths

        assert isinstance(request.recipe, Buckets)
        out = request.folder / "model.onnx"
        merge_lengths(request.parts, out, mask=request.recipe.mask)
        return TransformResult(file=out, backends=settled(request.summary, out))


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {(Buckets, ""): BucketsPass()}
