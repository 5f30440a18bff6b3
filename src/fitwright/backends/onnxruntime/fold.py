"""Constant folding by ONNX Runtime, kept only when every backend can still read the result."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fitwright.backends.onnxruntime.onnx_file import STANDARD_DOMAINS, domains, nodes

_EXTERNAL_ABOVE_BYTES = 1_500_000_000
_MAY_GROW = 1.05
_MAY_GROW_BYTES = 64 << 10


def fold_constants(model: Path, out: Path) -> str | None:
    """Write the model with constants folded; when that does not pay, say why and write nothing.

    Folding is ONNX Runtime's ``basic`` level: constants, dead and redundant nodes, batch
    normalisation into convolutions. It may trade computation for bytes (a folded Tile or
    Range), so a result clearly larger than the input is dropped.
    """
    import onnx
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    before_bytes = model_bytes(model)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    options.add_session_config_entry("session.disable_prepacking", "1")
    if before_bytes > _EXTERNAL_ABOVE_BYTES:
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", f"{out.name}.data"
        )
    try:
        ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except (faults.Fail, faults.InvalidGraph, faults.NotImplemented) as error:
        _remove(out)
        return f"constants not folded: {str(error).splitlines()[0][:200]}"
    why = None
    if foreign := set(domains(onnx.load(out, load_external_data=False))) - STANDARD_DOMAINS:
        why = f"constants not folded: the result would need operators of {sorted(foreign)}"
    elif (after := model_bytes(out)) > before_bytes * _MAY_GROW + _MAY_GROW_BYTES:
        why = f"constants not folded: the file would grow from {before_bytes} to {after} bytes"
    if why:
        _remove(out)
    return why


def model_bytes(model: Path) -> int:
    """Size of the ONNX file and of the external data files it names."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    graph = onnx.load(model, load_external_data=False).graph
    names = {ExternalDataInfo(t).location for t in graph.initializer if uses_external_data(t)}
    return sum(file.stat().st_size for file in (model, *(model.parent / name for name in names)))


def same_operators(one: Path, other: Path) -> bool:
    """Whether two models hold the same number of operators of each kind."""
    import onnx

    counts = [
        Counter((n.domain, n.op_type) for n in nodes(onnx.load(m, load_external_data=False).graph))
        for m in (one, other)
    ]
    return counts[0] == counts[1]


def _remove(out: Path) -> None:
    for file in (out, out.with_name(f"{out.name}.data")):
        file.unlink(missing_ok=True)
