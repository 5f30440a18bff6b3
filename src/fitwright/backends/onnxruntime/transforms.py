"""The passes that write ONNX: shapes, fp16 weights, int8 and int4 by ONNX Runtime."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fitwright.backends.onnxruntime.onnx_file import settled
from fitwright.backends.suitability import (
    convolutions_lead,
    kinds,
    lacks,
    lacks_weights,
    quantised,
    too_large,
)
from fitwright.backends.workplace import workplace
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import CONVOLUTIONS, MATRICES, ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
)
from fitwright.records.record import Record

_DYNAMIC = MATRICES | {"LSTM", "Attention"}
_STATIC = MATRICES | CONVOLUTIONS


@dataclass(frozen=True, kw_only=True)
class FixShapesPass:
    """Static shapes, constants folded, nothing left that no output needs."""

    requires: str = "an ONNX model and a size for each symbolic dimension"
    ensures: str = "every input shape is static; constants are folded; outputs are unchanged"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Every model has shapes to fix or none; queries are stacked along a free axis. Whether
        one can be cut into parts, the file tells."""
        del device
        if getattr(recipe, "batch", 1) == 1 or summary.is_batchable:
            return None
        return "its inputs and outputs do not all open with a free batch axis"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Fix, then fold where folding pays and the result stays readable for all."""
        from fitwright.backends.onnxruntime.fold import NOTHING_LEFT, fold_constants
        from fitwright.graph.divide import divide_batch
        from fitwright.graph.fix_shapes import fix_shapes

        assert isinstance(request.recipe, FixShapes)
        summary, batch, parts = request.summary, request.recipe.batch, request.recipe.parts
        fixed, folded = (_empty(request.folder / name) / "model.onnx" for name in ("a", "b"))
        changed = fix_shapes(
            request.model,
            fixed,
            bindings=summary.bindings,
            inputs=summary.inputs,
            batch=batch,
            sizes=dict(request.recipe.sizes),
        )
        why = fold_constants(fixed, folded)
        if why and not changed and parts == 1:
            return _unchanged(request, f"shapes are static; {why}")
        made = fixed if why else folded
        if parts > 1:
            whole, made = made, _empty(request.folder / "c") / "model.onnx"
            divide_batch(whole, made, parts=parts)
        out = _kept(request.folder, made.parent)
        notes: tuple[str, ...] = (why,) if why and why != NOTHING_LEFT else ()
        notes += (f"a query is cut into {parts} parts that run at once",) if parts > 1 else ()
        return TransformResult(
            file=out,
            backends=settled(summary, out),
            settings=Settings(batch=batch, parts=parts),
            notes=notes,
        )


@dataclass(frozen=True, kw_only=True)
class Fp16WeightsPass:
    """Weights stored in half the bytes and widened when loaded; arithmetic stays float32."""

    requires: str = "float32 weights whose values fit float16"
    ensures: str = "large float32 weights are float16 with a Cast; arithmetic is float32"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """A model without weights has nothing to store."""
        del recipe, device
        return None if summary.weight_bytes else "the model has no weights"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Write the narrow weights."""
        from fitwright.backends.onnxruntime.fold import outline
        from fitwright.graph.weights import weights_to_fp16

        out = request.folder / "model.onnx"
        notes = weights_to_fp16(request.model, out)
        if outline(out).size_bytes >= outline(request.model).size_bytes:
            return _unchanged(request, *notes, "no weight became smaller")
        return TransformResult(file=out, backends=settled(request.summary, out), notes=notes)


@dataclass(frozen=True, kw_only=True)
class Int8StaticPass:
    """int8 weights and activations as QDQ pairs, ranges from calibration data."""

    requires: str = "static shapes, calibration data, and Conv, MatMul or Gemm with weights"
    ensures: str = "standard QuantizeLinear/DequantizeLinear pairs around int8 operators"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Without a multiplying operator int8 gains nothing."""
        del recipe, device
        return quantised(summary) or lacks(summary, _STATIC) or too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Calibrate, unless that was done, and write."""
        from fitwright.backends.onnxruntime.int8 import count_kinds, keep_operators

        assert isinstance(request.recipe, Int8Static)
        out = request.folder / "model.onnx"
        keep = request.recipe.keep
        notes: tuple[str, ...] = ()
        if request.calibrated is None or not keep:
            notes = _calibrated(request, request.recipe, out)
        if keep:
            calibrated = request.calibrated or out
            notes += keep_operators(request.model, calibrated, out, keep=keep)
        if not count_kinds(out, ("QuantizeLinear",)):
            return _unchanged(request, *notes, "no operator could be quantised")
        return TransformResult(file=out, backends=settled(request.summary, out), notes=notes)


@dataclass(frozen=True, kw_only=True)
class Int8DynamicPass:
    """int8 weights, activations quantised as they come."""

    requires: str = "MatMul, Gemm, LSTM or Attention with constant weights"
    ensures: str = "their weights are int8 and their activations are quantised at run time"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Convolutions do not count: their dynamic form is slower than float."""
        del recipe, device
        return quantised(summary) or lacks_weights(summary, _DYNAMIC) or too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Write the int8 weights."""
        from fitwright.backends.onnxruntime.int8 import count_kinds, quantise_dynamic

        assert isinstance(request.recipe, Int8Dynamic)
        out = request.folder / "model.onnx"
        notes = quantise_dynamic(
            request.model, out, device=request.device, per_channel=request.recipe.per_channel
        )
        if kinds(request.summary) & CONVOLUTIONS:
            notes += ("convolutions stay float: ConvInteger is slower than a float convolution",)
        if not count_kinds(out, ("DynamicQuantizeLinear", "DynamicQuantizeLSTM", "QAttention")):
            return _unchanged(request, *notes, "no operator could be quantised")
        settled(request.summary, out)
        return TransformResult(file=out, backends=("onnxruntime",), notes=notes)


@dataclass(frozen=True, kw_only=True)
class WeightsPass:
    """int8 or int4 weights, arithmetic in floating point."""

    requires: str = "MatMul or Gemm (int4, int8) or Conv (int8) with constant weights"
    ensures: str = "their weights are stored in 4 or 8 bits; the interface is unchanged"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """int4 has no form for convolutions."""
        del device
        fits = MATRICES if isinstance(recipe, Int4Weights) else MATRICES | CONVOLUTIONS
        return quantised(summary) or lacks_weights(summary, fits) or too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """int4 in blocks; int8 in blocks for matrices, per channel where convolutions lead.

        Embedding tables become int8 either way.
        """
        from fitwright.backends.onnxruntime.int8 import prepare
        from fitwright.backends.onnxruntime.tables import narrow_tables
        from fitwright.backends.onnxruntime.weights import block_quantised, channel_quantised

        out, recipe = request.folder / "model.onnx", request.recipe
        with workplace(request.folder) as folder:
            model, notes = prepare(request.model, folder)
            if isinstance(recipe, Int8Weights) and convolutions_lead(request.summary):
                found = channel_quantised(model, out, kinds=_STATIC)
                notes += (f"{found} weights in int8 with one scale per channel",)
            else:
                bits, block = (4, recipe.block_size) if isinstance(recipe, Int4Weights) else (8, 32)
                found = block_quantised(model, out, bits=bits, block_size=block)
                notes += (
                    f"{found} matrices in int{bits} blocks of {block}; ONNX Runtime rounds their "
                    "activations to int8 per block while computing",
                )
        if not found:
            return _unchanged(request, "no constant weight is large enough")
        notes += narrow_tables(out)
        return TransformResult(file=out, backends=settled(request.summary, out), notes=notes)


def _calibrated(request: TransformRequest, recipe: Int8Static, out: Path) -> tuple[str, ...]:
    from fitwright.backends.onnxruntime.int8 import quantise_static

    assert request.calibration is not None, "adapt hands over calibration data"
    return quantise_static(
        request.model,
        out,
        calibration=request.calibration,
        method=recipe.method,
        device=request.device,
        convolutional=bool(kinds(request.summary) & CONVOLUTIONS),
    )


def _unchanged(request: TransformRequest, *notes: str) -> TransformResult:
    return TransformResult(
        file=request.model, backends=("onnxruntime", "openvino"), modified=False, notes=notes
    )


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _kept(folder: Path, chosen: Path) -> Path:
    """Move the files of the chosen subfolder up, drop the others; the main file."""
    for file in list(chosen.iterdir()):
        file.rename(folder / file.name)
    for left in (path for path in folder.iterdir() if path.is_dir()):
        shutil.rmtree(left)
    return folder / "model.onnx"


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (FixShapes, ""): FixShapesPass(),
    (Fp16Weights, ""): Fp16WeightsPass(),
    (Int8Static, "onnxruntime"): Int8StaticPass(),
    (Int8Dynamic, ""): Int8DynamicPass(),
    (Int8Weights, "onnxruntime"): WeightsPass(),
    (Int4Weights, "onnxruntime"): WeightsPass(),
}
