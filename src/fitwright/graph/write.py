"""Opening a model for an edit, and writing it: whole in one file, or with data beside it."""

from __future__ import annotations

import errno
from pathlib import Path

import onnx_ir as ir

from fitwright.errors import ModelRefused, StorageError
from fitwright.graph.read import MAX_IR, MAX_OPSET, read_model
from fitwright.graph.refusal import refused, shown

LARGEST_SINGLE_FILE_BYTES = 1_500_000_000
"""Above this the weights go to a data file: protobuf ends at 2 GiB, and copies need room."""


def open_for_edit(path: Path) -> ir.Model:
    """The checked model on onnx-ir; external data is mapped when it is needed."""
    proto = read_model(path)
    try:
        model = ir.serde.deserialize_model(proto)
    except ir.serde.SerdeError:
        raise _not_editable(path) from None
    ir.external_data.set_base_dir(model.graph, path.parent)
    return model


def write_model(model: ir.Model, out: Path) -> tuple[Path, ...]:
    """Write the model to `out`; returns every file written.

    Weights go to ``<out>.data`` when they are too large for one file. A failed write leaves
    nothing behind.
    """
    _require_writable_versions(model)
    _forget_stated_shapes_of_weights(model)
    large = weight_bytes(model) > LARGEST_SINGLE_FILE_BYTES
    data = out.with_name(out.name + ".data")
    files = (out, data) if large else (out,)
    try:
        if large:
            ir.save(model, out, external_data=data.name)
        else:
            ir.save(ir.external_data.load_to_model(model), out)
    except (OSError, ir.serde.SerdeError) as e:
        for file in files:
            file.unlink(missing_ok=True)
        raise (_not_written(out, e) if isinstance(e, OSError) else _not_editable(out)) from None
    return files


def _forget_stated_shapes_of_weights(model: ir.Model) -> None:
    """A weight tells its own shape. Stated once more, as exporters of torch do, it is wrong as
    soon as a quantiser transposes the weight, and the model is refused."""
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in graph.initializers.values():
            if value.is_graph_input() or value.is_graph_output():
                continue
            value.shape, value.type, value.doc_string = None, None, None
            value.metadata_props.clear()


def weight_bytes(model: ir.Model) -> int:
    """Bytes of all initializers, those of bodies included."""
    return sum(
        value.const_value.nbytes
        for graph in (model.graph, *model.graph.subgraphs())
        for value in graph.initializers.values()
        if value.const_value is not None
    )


def _require_writable_versions(model: ir.Model) -> None:
    newest = model.opset_imports.get("", 0)
    if model.ir_version > MAX_IR or newest > MAX_OPSET:
        raise refused(
            "FW222",
            f"An edit asked for IR {model.ir_version} and opset {newest}; this version writes up "
            f"to {MAX_IR} and {MAX_OPSET}.",
            "This is a fault of the edit; report it.",
        )


def _not_editable(path: Path) -> ModelRefused:
    return refused(
        "FW234",
        f"A node of '{shown(path.name)}' has an attribute or type that ONNX does not define.",
        "Export the model again with a current exporter.",
    )


def _not_written(out: Path, error: OSError) -> StorageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageError(
        f"'{shown(out)}' could not be written: {shown(error.strerror or error)}.",
        code="FW520" if full else "FW521",
        remedy="Free some space and resume." if full else "Check the folder and its permissions.",
    )
