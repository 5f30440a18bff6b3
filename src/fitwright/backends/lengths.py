"""The passes that spare padding: several lengths in one file, or queries cut to their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import Buckets, Recipe, Trim
from fitwright.records.record import Record


class Joining(Protocol):
    """Writes one file from the same network at several lengths."""

    def __call__(self, parts: Mapping[int, Path], out: Path, *, mask: str) -> None: ...


def _buckets(parts: Mapping[int, Path], out: Path, *, mask: str) -> None:
    from fitwright.graph.buckets import merge_lengths

    merge_lengths(parts, out, mask=mask)


def _trim(parts: Mapping[int, Path], out: Path, *, mask: str) -> None:
    from fitwright.graph.trim import trim_padding

    trim_padding(parts, out, mask=mask)


@dataclass(frozen=True, kw_only=True)
class PaddingPass:
    """One way to spare padding as a pass.

    Attributes:
        joining: the function that writes, which imports what it needs when it is used.
    """

    joining: Joining
    requires: str = "the ONNX model at each length, and a mask whose zeros are padding"
    ensures: str = "the same outputs up to a query's last token, zeros further behind"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """The mask must be an input; what else may be in the way the files tell."""
        del device
        assert isinstance(recipe, Buckets | Trim), "the table gives each pass its own recipe"
        if recipe.mask in {i.name for i in summary.inputs}:
            return None
        return f"the model has no input '{recipe.mask}'"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Put the lengths into one file."""
        assert isinstance(request.recipe, Buckets | Trim)
        out = request.folder / "model.onnx"
        self.joining(request.parts, out, mask=request.recipe.mask)
        return TransformResult(file=out, backends=settled(request.summary, out))


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (Buckets, ""): PaddingPass(joining=_buckets),
    (Trim, ""): PaddingPass(joining=_trim),
}
