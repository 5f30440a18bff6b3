"""Quantisation by NNCF on OpenVINO's own graph: static int8, int8 and int4 weights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from fitwright.backends.openvino import telemetry
from fitwright.backends.openvino.ranges import late_ranges
from fitwright.backends.openvino.swaps import late_swaps
from fitwright.backends.quiet import quiet
from fitwright.backends.support import missing


def toolkits() -> tuple[Any, Any]:
    """The modules ``openvino`` and ``nncf``, without usage reports.

    Raises:
        BackendMissing: one of them is not installed.
    """
    telemetry.switch_off()
    os.environ["NNCF_CI"] = "1"  # NNCF's own switch against its usage reports
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise missing(error.name or "nncf", extra="openvino") from error
    return openvino, nncf


def quantised_static(
    model: Path,
    out: Path,
    *,
    calibration: Path,
    method: Literal["minmax", "entropy", "percentile"],
    transformer: bool,
    symmetric: bool = False,
    smooth: bool = True,
) -> int:
    """Write OpenVINO's format with int8 weights and activations; how many quantisers it has."""
    import numpy as np

    openvino, nncf = toolkits()
    graph, names = _read(openvino, model)
    with np.load(calibration) as archive:
        inputs = {name: archive[name] for name in archive.files}
    num_queries = len(next(iter(inputs.values())))
    queries = [{name: array[i] for name, array in inputs.items()} for i in range(num_queries)]
    with quiet():
        quantised = nncf.quantize(
            graph,
            nncf.Dataset(queries),
            preset=_preset(nncf, symmetric=symmetric),
            subset_size=num_queries,
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            fast_bias_correction=True,
            advanced_parameters=_advanced(nncf, method, smooth=smooth),
        )
    late_ranges(quantised)
    late_swaps(quantised)
    _write(openvino, quantised, out, names=names)
    return sum(1 for node in quantised.get_ops() if node.get_type_name() == "FakeQuantize")


def write_kept(
    model: Path, calibrated: Path, out: Path, *, keep: Collection[str]
) -> tuple[int, str]:
    """Write the calibrated model with some operators in floating point.

    Args:
        model: the float ONNX model that `quantised_static` read.
        calibrated: what `quantised_static` wrote.
        keep: operators by their name in `model`.

    Returns:
        How many operators are left in int8, and a note on how many are not.
    """
    from fitwright.backends.openvino.keep import Owners, keep_in_float, quantised_operators
    from fitwright.graph.dependencies import dependencies

    openvino, _ = toolkits()
    core, owners = openvino.Core(), Owners(dependencies(model))
    original, names = _read(openvino, model)
    quantised = core.read_model(str(calibrated)).clone()
    before = len(quantised_operators(quantised, owners))
    keep_in_float(quantised, original, owners, keep)
    left = len(quantised_operators(quantised, owners))
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:  # `calibrated` may be `out`
        made = Path(folder) / out.name
        _write(openvino, quantised, made, names=names)
        del quantised
        for file in Path(folder).iterdir():
            file.replace(out.parent / file.name)
    return left, f"{before - left} of {before} int8 operators kept in floating point"


def compressed_weights(model: Path, out: Path, *, bits: int, group_size: int) -> dict[str, int]:
    """Write OpenVINO's format with int8 or int4 weights; how many there are of each type."""
    openvino, nncf = toolkits()
    graph, names = _read(openvino, model)
    modes = nncf.CompressWeightsMode
    options: dict[str, Any] = {"mode": modes.INT8_ASYM}
    if bits == 4:
        smaller_groups = nncf.AdvancedCompressionParameters(
            group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST
        )
        options = {
            "mode": modes.INT4_SYM,
            "group_size": group_size,
            "advanced_parameters": smaller_groups,
        }
    with quiet():
        compressed = nncf.compress_weights(graph, **options)
    _write(openvino, compressed, out, names=names)
    return _narrow_constants(compressed)


def _preset(nncf: Any, *, symmetric: bool) -> Any:
    presets = nncf.QuantizationPreset
    return presets.PERFORMANCE if symmetric else presets.MIXED


def _advanced(nncf: Any, method: str, *, smooth: bool) -> Any:
    """NNCF's estimators of activation ranges that correspond to the recipe's method, and
    whether activations are smoothed."""
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet as Estimators

    estimator = {
        "minmax": Estimators.MEAN_MINMAX,
        "percentile": Estimators.MEAN_QUANTILE,
        "entropy": Estimators.HISTOGRAM,
    }[method]
    found = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=estimator)
    if not smooth:
        found.smooth_quant_alphas = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)
    return found


def _read(openvino: Any, model: Path) -> tuple[Any, list[tuple[str, ...]]]:
    """The graph, and the names of its outputs as the ONNX file has them."""
    graph = openvino.Core().read_model(str(model))
    return graph, [tuple(sorted(port.get_names())) for port in graph.outputs]


def _write(openvino: Any, graph: Any, out: Path, *, names: list[tuple[str, ...]]) -> None:
    for port, wanted in zip(graph.outputs, names, strict=True):
        port.get_tensor().set_names(set(wanted))
    openvino.save_model(graph, str(out), compress_to_fp16=False)


def _narrow_constants(graph: Any) -> dict[str, int]:
    """How many weights are stored in which narrow type; zero points are not counted."""
    found = {"i4": 0, "u4": 0, "i8": 0, "u8": 0}
    for node in graph.get_ops():
        if node.get_type_name() != "Constant" or node.output(0).get_partial_shape().rank == 0:
            continue
        dtype = node.get_element_type().get_type_name()
        if dtype in found and "zero_point" not in node.get_friendly_name():
            found[dtype] += 1
    return {f"{'u' if t[0] == 'u' else ''}int{t[1:]}": n for t, n in found.items() if n}
