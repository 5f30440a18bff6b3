"""What every pass that writes ONNX checks at its end, and the limits it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fitwright.errors import ModelRefused
from fitwright.records.model import ModelSummary

MAX_IR, MAX_OPSET = 13, 26  # as `graph.read` accepts them, so that a result can be read back
STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def settled(summary: ModelSummary, out: Path) -> tuple[str, ...]:
    """Check a written model and drop what it does not need; which backends may run it.

    Names and types of inputs and outputs must be those of the original; IR and opset stay
    within what both backends read; operator sets without an operator go.

    Args:
        summary: of the original.
        out: what the pass wrote; rewritten when there is something to drop.

    Raises:
        ModelRefused: the pass wrote something that may not ship.
    """
    import onnx

    model = onnx.load(out, load_external_data=False)
    _require_interface(summary, model.graph)
    used = set(domains(model))
    kept = [o for o in model.opset_import if o.domain in used or o.domain in ("", "ai.onnx")]
    newest = max((o.version for o in kept if o.domain in ("", "ai.onnx")), default=0)
    if newest > MAX_OPSET:
        raise ModelRefused(
            f"the pass wrote opset {newest}; the backends read up to {MAX_OPSET}",
            code="FW241",
            remedy=f"Export the model with opset {MAX_OPSET} or lower.",
        )
    if len(kept) < len(model.opset_import) or model.ir_version > MAX_IR:
        del model.opset_import[:]
        model.opset_import.extend(kept)
        model.ir_version = min(model.ir_version, MAX_IR)
        onnx.save(model, out)
    return ("onnxruntime", "openvino") if used <= STANDARD_DOMAINS else ("onnxruntime",)


def _require_interface(summary: ModelSummary, graph: Any) -> None:
    from fitwright.graph.dtypes import NAMES

    weights = {weight.name for weight in graph.initializer}
    ports = [*(i for i in graph.input if i.name not in weights), *graph.output]
    now = [(p.name, NAMES.get(p.type.tensor_type.elem_type)) for p in ports]
    before = [(t.name, t.dtype) for t in (*summary.inputs, *summary.outputs)]
    if now != before:
        raise ModelRefused(
            f"the pass changed inputs or outputs: {before} became {now}",
            code="FW240",
            remedy="This is a fault of the pass; the original model stays in use.",
        )


def nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of the branches and bodies of control flow included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from nodes(inner)


def domains(model: Any) -> Iterator[str]:
    """The operator domain of every node, those of local functions included."""
    yield from (node.domain for node in nodes(model.graph))
    for function in model.functions:
        yield from (node.domain for node in function.node)
