"""The passes that write ONNX: shapes, fp16 weights, int8 and int4 by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fitwright.backends.onnxruntime.onnx_file import (
    CONVOLUTIONS,
    FLOAT_MATMULS,
    kinds,
    settled,
    too_large,
    weighted_kinds,
)
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
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

_DYNAMIC = FLOAT_MATMULS | {"LSTM", "Attention"}
_STATIC = FLOAT_MATMULS | CONVOLUTIONS


@dataclass(frozen=True, kw_only=True)
class FixShapesPass:
    """Static shapes, constants folded, nothing left that no output needs."""

    requires: str = "an ONNX model and a size for each symbolic dimension"
    ensures: str = "every input shape is static; constants are folded; outputs are unchanged"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Never: every model has shapes to fix or none."""
        del recipe, summary, device
        return None

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Fix, then fold where folding pays and the result stays readable for all."""
        from fitwright.backends.onnxruntime.fold import fold_constants, same_operators
        from fitwright.graph.fix_shapes import fix_shapes

        fixed, out = request.folder / "model.onnx", request.folder / "folded.onnx"
        changed = fix_shapes(
            request.model, fixed, bindings=request.summary.bindings, inputs=request.summary.inputs
        )
        start = fixed if fixed.exists() else request.model
        why = fold_constants(start, out)
        if why is None and not same_operators(start, out):
            out, changed = _renamed(out, fixed), True
        else:
            _remove(out)
            out = start
        if not changed:
            return _unchanged(request, why or "shapes are static and no constant is left to fold")
        backends = settled(request.model, out)
        return TransformResult(file=out, backends=backends, notes=(why,) if why else ())


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
        from fitwright.backends.onnxruntime.fold import model_bytes
        from fitwright.graph.weights import weights_to_fp16

        out = request.folder / "model.onnx"
        notes = weights_to_fp16(request.model, out)
        if not out.exists() or model_bytes(out) >= model_bytes(request.model):
            return _unchanged(request, *notes, "no weight became smaller")
        return TransformResult(file=out, backends=settled(request.model, out), notes=notes)


@dataclass(frozen=True, kw_only=True)
class Int8StaticPass:
    """int8 weights and activations as QDQ pairs, ranges from calibration data."""

    requires: str = "static shapes, calibration data, and Conv, MatMul or Gemm with weights"
    ensures: str = "standard QuantizeLinear/DequantizeLinear pairs around int8 operators"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Without a multiplying operator int8 gains nothing."""
        del recipe, device
        if not kinds(summary) & _STATIC:
            return f"the model has none of {', '.join(sorted(_STATIC))}"
        return too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Calibrate and write."""
        from fitwright.backends.onnxruntime.int8 import count_kinds, quantise_static

        assert isinstance(request.recipe, Int8Static)
        assert request.calibration is not None, "adapt hands over calibration data"
        out = request.folder / "model.onnx"
        notes = quantise_static(
            request.model,
            out,
            calibration=request.calibration,
            method=request.recipe.method,
            device=request.device,
            kinds=kinds(request.summary),
        )
        if not count_kinds(out, ("QuantizeLinear",)):
            return _unchanged(request, *notes, "no operator could be quantised")
        return TransformResult(file=out, backends=settled(request.model, out), notes=notes)


@dataclass(frozen=True, kw_only=True)
class Int8DynamicPass:
    """int8 weights, activations quantised as they come."""

    requires: str = "MatMul, Gemm, LSTM or Attention with constant weights"
    ensures: str = "their weights are int8 and their activations are quantised at run time"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Convolutions do not count: their dynamic form is slower than float."""
        del recipe, device
        if not weighted_kinds(summary) & _DYNAMIC:
            return f"the model has none of {', '.join(sorted(_DYNAMIC))} with constant weights"
        return too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Write the int8 weights."""
        from fitwright.backends.onnxruntime.int8 import count_kinds, quantise_dynamic

        out = request.folder / "model.onnx"
        notes = quantise_dynamic(request.model, out, device=request.device)
        if kinds(request.summary) & CONVOLUTIONS:
            notes += ("convolutions stay float: ConvInteger is slower than a float convolution",)
        if not count_kinds(out, ("DynamicQuantizeLinear", "DynamicQuantizeLSTM", "QAttention")):
            return _unchanged(request, *notes, "no operator could be quantised")
        settled(request.model, out)
        return TransformResult(file=out, backends=("onnxruntime",), notes=notes)


@dataclass(frozen=True, kw_only=True)
class WeightsPass:
    """int8 or int4 weights, arithmetic in floating point."""

    requires: str = "MatMul or Gemm (int4, int8) or Conv (int8) with constant weights"
    ensures: str = "their weights are stored in 4 or 8 bits; the interface is unchanged"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """int4 has no form for convolutions."""
        del device
        fits = FLOAT_MATMULS if isinstance(recipe, Int4Weights) else FLOAT_MATMULS | CONVOLUTIONS
        if not weighted_kinds(summary) & fits:
            return f"the model has none of {', '.join(sorted(fits))} with constant weights"
        return too_large(summary)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """int4 in blocks; int8 in blocks for matrices, per channel where convolutions lead."""
        from fitwright.backends.onnxruntime.weights import block_quantised, channel_quantised

        out, recipe = request.folder / "model.onnx", request.recipe
        per_channel = isinstance(recipe, Int8Weights) and _convolutions_lead(request.summary)
        if per_channel:
            found = channel_quantised(request.model, out, kinds=_STATIC)
            notes: tuple[str, ...] = (f"{found} weights in int8 with one scale per channel",)
        else:
            bits, block = (4, recipe.block_size) if isinstance(recipe, Int4Weights) else (8, 32)
            found = block_quantised(request.model, out, bits=bits, block_size=block)
            notes = (
                f"{found} matrices in int{bits} blocks of {block}; ONNX Runtime rounds their "
                "activations to int8 per block while computing",
            )
        if not found:
            return _unchanged(request, "no constant weight is large enough")
        return TransformResult(file=out, backends=settled(request.model, out), notes=notes)


def _convolutions_lead(summary: ModelSummary) -> bool:
    """Whether convolutions hold more weight bytes than matrices."""
    held = {True: 0, False: 0}
    for operator in summary.operators:
        if operator.kind in _STATIC:
            held[operator.kind in CONVOLUTIONS] += operator.weight_bytes
    return held[True] > held[False]


def _unchanged(request: TransformRequest, *notes: str) -> TransformResult:
    return TransformResult(
        file=request.model, backends=("onnxruntime", "openvino"), modified=False, notes=notes
    )


def _renamed(source: Path, target: Path) -> Path:
    """Put `source` in the place of `target`, its external data file as well."""
    target.unlink(missing_ok=True)
    return source.rename(target)


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.with_name(f"{file.name}.data").unlink(missing_ok=True)


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (FixShapes, ""): FixShapesPass(),
    (Fp16Weights, ""): Fp16WeightsPass(),
    (Int8Static, "onnxruntime"): Int8StaticPass(),
    (Int8Dynamic, ""): Int8DynamicPass(),
    (Int8Weights, "onnxruntime"): WeightsPass(),
    (Int4Weights, "onnxruntime"): WeightsPass(),
}
