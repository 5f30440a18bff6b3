"""Constant folding by ONNX Runtime, kept only when every backend can still read the result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from fitwright.backends.onnxruntime.onnx_file import STANDARD_DOMAINS, domains, nodes

_EXTERNAL_ABOVE_BYTES = 1_500_000_000
NOTHING_LEFT = "no constant is left to fold"
_MAY_GROW = 1.05
_MAY_GROW_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A model file without its weights: how large, which operators, which domains."""

    size_bytes: int
    operators: Counter[tuple[str, str]]
    domains: frozenset[str]


def outline(model: Path) -> Outline:
    """Read the file once; external data is measured, not read."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    proto = onnx.load(model, load_external_data=False)
    weights = proto.graph.initializer
    names = {ExternalDataInfo(t).location for t in weights if uses_external_data(t)}
    files = (model, *(model.parent / name for name in names))
    return Outline(
        size_bytes=sum(file.stat().st_size for file in files),
        operators=Counter((node.domain, node.op_type) for node in nodes(proto.graph)),
        domains=frozenset(domains(proto)),
    )


def fold_constants(model: Path, out: Path) -> str | None:
    """Write the model with constants folded; when that does not pay, why not, and no file.

    Folding is ONNX Runtime's ``basic`` level: constants, dead and redundant nodes, batch
    normalisation into convolutions. It may trade computation for bytes (a folded Tile or
    Range), so a result clearly larger than the input is dropped.
    """
    before = outline(model)
    if why := _optimised(model, out, external=before.size_bytes > _EXTERNAL_ABOVE_BYTES):
        _remove(out)
        return why
    after = outline(out)
    why = None
    if foreign := after.domains - before.domains - STANDARD_DOMAINS:
        why = f"constants not folded: the result would need operators of {sorted(foreign)}"
    elif after.size_bytes > before.size_bytes * _MAY_GROW + _MAY_GROW_BYTES:
        why = (
            f"constants not folded: the file would grow from {before.size_bytes} to "
            f"{after.size_bytes} bytes"
        )
    elif after.operators == before.operators:
        why = NOTHING_LEFT
    if why:
        _remove(out)
    else:
        _name_anew(out, like=model)
    return why


def _name_anew(out: Path, *, like: Path) -> None:
    """Other names for the constants that ONNX Runtime made up.

    It makes up the same ones when it opens the file again, and then fails: a name is taken.
    """
    import onnx

    before, after = (onnx.load(f, load_external_data=False) for f in (like, out))
    known = _names(before.graph)
    made_up = [t.name for t in after.graph.initializer if t.name not in known]
    if not made_up:
        return
    taken = known | _names(after.graph)
    fresh = (name for i in count() if (name := f"folded_{i}") not in taken)
    names = dict(zip(made_up, fresh, strict=False))
    for tensor in after.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in nodes(after.graph):
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(after, out)


def _names(graph: Any) -> set[str]:
    """Of every value in the graph."""
    found = {value.name for value in (*graph.input, *graph.initializer)}
    return found.union(*(node.output for node in nodes(graph)))


def _optimised(model: Path, out: Path, *, external: bool) -> str | None:
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    options.add_session_config_entry("session.disable_prepacking", "1")
    if external:
        key = "session.optimized_model_external_initializers_file_name"
        options.add_session_config_entry(key, f"{out.name}.data")
    try:
        ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except (
        faults.Fail,
        faults.InvalidArgument,
        faults.InvalidGraph,
        faults.NotImplemented,
    ) as error:
        cause = str(error).partition("failed:")[2] or str(error)
        return f"constants not folded: {cause.strip().splitlines()[0][:200]}"
    return None


def _remove(out: Path) -> None:
    for file in (out, out.with_name(f"{out.name}.data")):
        file.unlink(missing_ok=True)
