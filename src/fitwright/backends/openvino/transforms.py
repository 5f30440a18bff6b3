"""The passes that OpenVINO brings: bf16 arithmetic, and int8 and int4 through NNCF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from fitwright.backends.suitability import (
    is_transformer,
    lacks,
    lacks_weights,
    quantised,
)
from fitwright.ports import Transform, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import CONVOLUTIONS, MATRICES, RECURRENT, ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Bf16, Int4Weights, Int8Static, Int8Weights, Recipe
from fitwright.records.record import Record

_BF16_SETS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # the last is Arm's name


@dataclass(frozen=True, kw_only=True)
class Bf16Pass:
    """bfloat16 arithmetic by OpenVINO's precision hint; the file stays as it is."""

    requires: str = "a CPU with bfloat16 instructions and OpenVINO"
    ensures: str = "candidates set precision=bfloat16; the file is unchanged"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Without the instructions the hint would be emulated or ignored."""
        del recipe, summary
        if _BF16_SETS & {name.lower() for name in device.instruction_sets}:
            return None
        return f"{device.name} has none of {', '.join(sorted(_BF16_SETS))}"

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Nothing to write: the setting is the change."""
        return TransformResult(
            file=request.model,
            format="openvino_ir" if request.model.suffix == ".xml" else "onnx",
            backends=("openvino",),
            settings=Settings(precision="bfloat16"),
        )


@dataclass(frozen=True, kw_only=True)
class Int8StaticNncfPass:
    """int8 weights and activations, placed and calibrated by NNCF."""

    requires: str = "static shapes, calibration data, OpenVINO and NNCF"
    ensures: str = "an OpenVINO model with FakeQuantize around int8 operators"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Needs the packages and an operator that computes in int8."""
        del recipe, device
        return (
            _missing() or quantised(summary) or lacks(summary, MATRICES | CONVOLUTIONS | RECURRENT)
        )

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Calibrate, unless that was done, and write."""
        from fitwright.backends.openvino.nncf_passes import quantised_static, write_kept

        recipe = request.recipe
        assert isinstance(recipe, Int8Static)
        transformer = is_transformer(request.summary)
        out, found = request.folder / "model.xml", 0
        if request.calibrated is None or not recipe.keep:
            assert request.calibration is not None, "adapt hands over calibration data"
            found = quantised_static(
                request.model,
                out,
                calibration=request.calibration,
                method=recipe.method,
                transformer=transformer,
                symmetric=recipe.symmetric,
                smooth=recipe.smooth,
            )
        notes: tuple[str, ...] = ()
        if transformer:
            how = "activations smoothed" if recipe.smooth else "nothing smoothed"
            notes = (f"NNCF's transformer scheme, {how}",)
        if recipe.keep:
            found, note = write_kept(
                request.model, request.calibrated or out, out, keep=recipe.keep
            )
            notes += (note,)
        return _result(request, found, notes=notes)


@dataclass(frozen=True, kw_only=True)
class WeightsNncfPass:
    """int8 or int4 weights by NNCF, arithmetic in floating point."""

    requires: str = "constant weights, OpenVINO and NNCF"
    ensures: str = "an OpenVINO model whose weights are stored in 8 or 4 bits"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """NNCF compresses convolutions in 8 bits and matrices in both."""
        del device
        fits = MATRICES if isinstance(recipe, Int4Weights) else MATRICES | CONVOLUTIONS
        return _missing() or quantised(summary) or lacks_weights(summary, fits)

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Compress and write."""
        from fitwright.backends.openvino.nncf_passes import compressed_weights

        recipe = request.recipe
        bits, block = (4, recipe.block_size) if isinstance(recipe, Int4Weights) else (8, -1)
        out = request.folder / "model.xml"
        found = compressed_weights(request.model, out, bits=bits, group_size=block)
        count = ", ".join(f"{number} weights in {dtype}" for dtype, number in found.items())
        return _result(request, sum(found.values()), notes=(count,))


def _result(request: TransformRequest, found: int, *, notes: tuple[str, ...]) -> TransformResult:
    if not found:
        return TransformResult(
            file=request.model,
            backends=("onnxruntime", "openvino"),
            modified=False,
            notes=("NNCF found nothing to quantise",),
        )
    return TransformResult(
        file=request.folder / "model.xml",
        format="openvino_ir",
        backends=("openvino",),
        notes=notes,
    )


def _missing() -> str | None:
    """Which package is not installed, found without importing it."""
    absent = [name for name in ("openvino", "nncf") if find_spec(name) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} not installed; pip install 'fitwright[openvino]'"


TRANSFORMS: Mapping[tuple[type[Record], str], Transform] = {
    (Bf16, ""): Bf16Pass(),
    (Int8Static, "nncf"): Int8StaticNncfPass(),
    (Int8Weights, "nncf"): WeightsNncfPass(),
    (Int4Weights, "nncf"): WeightsNncfPass(),
}
