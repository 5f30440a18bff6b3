"""The one door for model files: classify, parse, check. Nothing is executed or inlined."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.serialization

from fitwright.graph.check import require_sound
from fitwright.graph.expansion import require_small_expansion
from fitwright.graph.external import is_external, require_external_data
from fitwright.graph.payload import require_payloads, require_sparse_sizes
from fitwright.graph.protos import all_sparse_tensors, all_tensors, standard
from fitwright.graph.refusal import refused, shown
from fitwright.graph.sniff import require_model_file
from fitwright.graph.text import require_text

MAX_IR = 13
MAX_OPSET = 26
"""The newest ONNX that every backend of the core reads."""

_DecodeError: type[Exception] = onnx.serialization.google.protobuf.message.DecodeError  # type: ignore[attr-defined]
"""protobuf belongs to onnx, not to us: its error is taken from where onnx keeps it."""

_AGAIN = "Export or download it again; if it comes from Git LFS, run 'git lfs pull'."


def read_model(path: Path, *, max_ir: int = MAX_IR, max_opset: int = MAX_OPSET) -> onnx.ModelProto:
    """The model at `path`, checked; external data stays outside, its place verified.

    Args:
        path: an ONNX file; a link to one is followed, links to its data are not.
        max_ir: newest IR version read.
        max_opset: newest version of the standard operator set read.

    Raises:
        ModelRefused: with a code from FW200 to FW230.
    """
    require_model_file(path)
    model = _parsed(path)
    require_text(model)
    _require_versions(model, max_ir=max_ir, max_opset=max_opset)
    require_sound(model)
    require_small_expansion(model)
    require_payloads(all_tensors(model))
    require_sparse_sizes(all_sparse_tensors(model))
    require_external_data((t for t in all_tensors(model) if is_external(t)), path.parent)
    return model


def _parsed(path: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except _DecodeError:
        raise _unreadable(path) from None
    except OSError as e:
        raise refused(
            "FW208", f"'{shown(path)}' cannot be read: {shown(e.strerror)}.", "Check the disk."
        ) from None
    if not model.HasField("graph") or not model.ir_version:
        raise refused(
            "FW206",
            f"'{shown(path)}' is not an ONNX model: it has no graph.",
            "Name the .onnx file of the model.",
        )
    return model


def _unreadable(path: Path) -> Exception:
    """Cut off, or never ONNX: an ONNX file begins with the IR version, field 1."""
    with path.open("rb") as file:
        begins_like_onnx = file.read(1) in (b"\x08", b"\x12", b"\x3a")
    if begins_like_onnx:
        return refused("FW207", f"'{shown(path)}' is cut off or damaged.", _AGAIN)
    return refused(
        "FW206", f"'{shown(path)}' is not an ONNX model.", "Name the .onnx file of the model."
    )


def _require_versions(model: onnx.ModelProto, *, max_ir: int, max_opset: int) -> None:
    if model.ir_version > max_ir:
        raise refused(
            "FW222",
            f"The model has IR version {model.ir_version}; this version reads up to {max_ir}.",
            f"Save it again after setting model.ir_version = {max_ir}, or export it with an "
            "older onnx package.",
        )
    sets = [o for f in (model, *model.functions) for o in f.opset_import]
    newest = max((o.version for o in sets if standard(o.domain) == ""), default=0)
    if newest > max_opset:
        raise refused(
            "FW221",
            f"The model uses opset {newest}; this version reads up to {max_opset}.",
            f"Export it with opset {max_opset}, or convert it: "
            f"onnx.version_converter.convert_version(model, {max_opset}).",
        )
