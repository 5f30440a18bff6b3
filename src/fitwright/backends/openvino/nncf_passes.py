"""Quantisation by NNCF on OpenVINO's own graph: static int8, int8 and int4 weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from fitwright.backends.openvino import telemetry
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
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=num_queries,
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            fast_bias_correction=True,
            advanced_parameters=_ranges(nncf, method),
        )
    return _write(openvino, quantised, out, names=names, counted=("FakeQuantize",))


def compressed_weights(model: Path, out: Path, *, bits: int, group_size: int) -> int:
    """Write OpenVINO's format with int8 or int4 weights; how many constants are narrow."""
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
    return _write(openvino, compressed, out, names=names, counted=())


def _ranges(nncf: Any, method: str) -> Any:
    """NNCF's estimators of activation ranges that correspond to the recipe's method."""
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet as Estimators

    estimator = {
        "minmax": Estimators.MEAN_MINMAX,
        "percentile": Estimators.MEAN_QUANTILE,
        "entropy": Estimators.HISTOGRAM,
    }[method]
    return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=estimator)


def _read(openvino: Any, model: Path) -> tuple[Any, list[tuple[str, ...]]]:
    """The graph, and the names of its outputs as the ONNX file has them."""
    graph = openvino.Core().read_model(str(model))
    return graph, [tuple(sorted(port.get_names())) for port in graph.outputs]


def _write(
    openvino: Any, graph: Any, out: Path, *, names: list[tuple[str, ...]], counted: tuple[str, ...]
) -> int:
    for port, wanted in zip(graph.outputs, names, strict=True):
        port.get_tensor().set_names(set(wanted))
    openvino.save_model(graph, str(out), compress_to_fp16=False)
    if counted:
        return sum(node.get_type_name() in counted for node in graph.get_ops())
    narrow = ("i8", "u8", "i4", "u4")
    return sum(
        node.get_type_name() == "Constant"
        and node.get_element_type().get_type_name() in narrow
        and len(node.get_output_shape(0)) >= 2
        for node in graph.get_ops()
    )
