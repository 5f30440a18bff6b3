"""int8 by ONNX Runtime's own quantiser: static with QDQ, and dynamic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from fitwright.backends.onnxruntime.fold import fold_constants
from fitwright.backends.onnxruntime.onnx_file import nodes
from fitwright.backends.onnxruntime.ranges import one_range_each
from fitwright.backends.onnxruntime.tables import narrow_tables
from fitwright.backends.quiet import quiet
from fitwright.backends.suitability import has_int8_dot, is_arm
from fitwright.backends.workplace import workplace
from fitwright.records.device import Device

Method = Literal["minmax", "entropy", "percentile"]

# Computing kinds whose int8 kernels pay on a CPU, and kinds that only pass values on and
# would otherwise force a way back to float between two int8 operators. Softmax, layer
# normalisation and GELU stay in float: their int8 forms are slower and lose accuracy.
CONVOLUTIONAL = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Relu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
    "Split",
    "Pad",
    "Resize",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
)
TRANSFORMER = ("MatMul", "Gemm")
_METHODS: Mapping[Method, str] = {
    "minmax": "MinMax",
    "entropy": "Entropy",
    "percentile": "Percentile",
}
_QDQ_OPSET = 13  # per-channel scales came with it


class NpzReader:
    """Feeds calibration queries one by one, as ONNX Runtime's calibrators ask for them."""

    def __init__(self, calibration: Path) -> None:
        import numpy as np

        with np.load(calibration) as archive:
            self._inputs = {name: archive[name] for name in archive.files}
        self._next, self._end = 0, len(self)

    def __len__(self) -> int:
        return len(next(iter(self._inputs.values())))

    def set_range(self, start_index: int, end_index: int) -> None:
        """Confine the reader to some of the queries."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, Any] | None:
        """The next query, or None at the end."""
        if self._next >= self._end:
            return None
        query = {name: array[self._next] for name, array in self._inputs.items()}
        self._next += 1
        return query


def quantise_static(
    model: Path,
    out: Path,
    *,
    calibration: Path,
    method: Method,
    device: Device | None,
    convolutional: bool,
) -> tuple[str, ...]:
    """Write the model with int8 weights and activations as QDQ pairs; notes on what and why.

    Weights are signed with one scale per output channel; activations are unsigned on x86
    (the form VNNI multiplies) and signed on Arm. Queries are streamed one at a time, so the
    memory needed is that of one query.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    activations = QuantType.QInt8 if is_arm(device) else QuantType.QUInt8
    options: dict[str, Any] = {
        "CalibStridedMinMax": 1,
        "WeightSymmetric": True,
        "QDQKeepRemovableActivations": True,  # both backends fuse them; kept operators need them
    }
    if not convolutional:
        options["OpTypesToExcludeOutputQuantization"] = list(TRANSFORMER)
    with quiet(), workplace(out.parent) as folder:
        prepared, notes = prepare(model, folder)
        quantize_static(
            str(prepared),
            str(out),
            NpzReader(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(CONVOLUTIONAL if convolutional else TRANSFORMER),
            per_channel=True,
            reduce_range=not has_int8_dot(device),
            activation_type=activations,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[_METHODS[method]],
            extra_options=options,
        )
        quantised = onnx.load(out)
        if one_range_each(quantised):
            onnx.save(quantised, out)
    if not has_int8_dot(device):
        notes += ("weights use 7 of 8 bits: this CPU has no VNNI, and 8 bits could overflow",)
    return notes


def keep_operators(
    model: Path, calibrated: Path, out: Path, *, keep: Collection[str]
) -> tuple[str, ...]:
    """Write the calibrated model with some operators in floating point; notes on how many.

    Args:
        model: the float model that `quantise_static` read.
        calibrated: what `quantise_static` wrote.
        keep: operators by their name in `model`.
    """
    import onnx

    from fitwright.backends.onnxruntime.keep import Quantised
    from fitwright.graph.dependencies import dependencies

    with quiet(), workplace(out.parent) as folder:
        prepared, proto = onnx.load(prepare(model, folder)[0]), onnx.load(calibrated)
        quantised = Quantised(proto, prepared, dependencies(model))
        before = len(quantised.operators())
        quantised.keep_in_float(keep)
        left = len(quantised.operators())
        onnx.save(proto, out)
    return (f"{before - left} of {before} int8 operators kept in floating point",)


def quantise_dynamic(
    model: Path, out: Path, *, device: Device | None, per_channel: bool
) -> tuple[str, ...]:
    """Write the model with int8 weights and activation ranges taken at run time; notes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet(), workplace(out.parent) as folder:
        prepared, notes = prepare(model, folder)
        quantize_dynamic(
            str(prepared),
            str(out),
            op_types_to_quantize=_dynamic_kinds(prepared),
            per_channel=per_channel,
            reduce_range=not has_int8_dot(device),
            weight_type=QuantType.QInt8,
        )
        notes += narrow_tables(out)
    return notes


def _dynamic_kinds(model: Path) -> list[str]:
    """What ONNX Runtime quantises dynamically. It takes ONNX's own attention (opset 23) for its
    operator of the same name, whose inputs are others, and writes a model that does not load."""
    import onnx

    held = nodes(onnx.load(model, load_external_data=False).graph)
    standard = any(n.op_type == "Attention" and n.domain in ("", "ai.onnx") for n in held)
    return ["MatMul", "Gemm", "LSTM", *([] if standard else ["Attention"])]


def prepare(model: Path, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The model as the quantiser wants it, opset 13 or newer and folded; and notes.

    Stands in for ONNX Runtime's ``quant_pre_process``, whose symbolic shape inference is
    not needed once shapes are fixed, and whose other passes write the file three times.
    """
    import onnx

    from fitwright.graph.write import open_for_edit, write_model

    proto = onnx.load(model, load_external_data=False)
    if {v.name for v in proto.graph.value_info} & {w.name for w in proto.graph.initializer}:
        model = write_model(open_for_edit(model), folder / "plain.onnx")[0]
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    notes: tuple[str, ...] = ()
    if opset < _QDQ_OPSET:
        upgraded = onnx.version_converter.convert_version(onnx.load(model), _QDQ_OPSET)
        model = folder / "upgraded.onnx"
        onnx.save(upgraded, model)
        notes = (f"opset raised from {opset} to {_QDQ_OPSET}, for one scale per channel",)
    del proto
    prepared = folder / "prepared.onnx"
    return (model if fold_constants(model, prepared) else prepared), notes


def count_kinds(model: Path, wanted: tuple[str, ...]) -> int:
    """How many operators of these kinds the graph holds, subgraphs included."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    return sum(node.op_type in wanted for node in nodes(graph))
