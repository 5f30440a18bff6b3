"""What every pass that writes ONNX checks at its end, and the limits it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fitwright.errors import ModelRefused
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary

MAX_IR, MAX_OPSET = 13, 26  # the newest that ONNX Runtime and OpenVINO both read
STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# A protobuf holds at most 2 GiB; the quantisers build the whole model in one.
MAX_QUANTISED_BYTES = 1_800_000_000

FLOAT_MATMULS = frozenset({"MatMul", "Gemm"})
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


def settled(original: Path, out: Path) -> tuple[str, ...]:
    """Check a written model and drop what it does not need; which backends may run it.

    Names, types and ranks of inputs and outputs must be those of the original; IR and
    opset stay within what both backends read; operator sets without an operator go.

    Raises:
        ModelRefused: the pass wrote something that may not ship.
    """
    import onnx

    model = onnx.load(out, load_external_data=False)
    before = onnx.load(original, load_external_data=False)
    if interface(before.graph) != interface(model.graph):
        raise ModelRefused(
            f"the pass changed inputs or outputs: {interface(before.graph)} became "
            f"{interface(model.graph)}",
            code="FW240",
            remedy="This is a fault of the pass; the original model stays in use.",
        )
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


def interface(graph: Any) -> list[tuple[str, int, int]]:
    """Name, element type and rank of every input that is no weight, then of every output."""
    weights = {weight.name for weight in graph.initializer}
    ports = [*(i for i in graph.input if i.name not in weights), *graph.output]
    return [
        (p.name, p.type.tensor_type.elem_type, len(p.type.tensor_type.shape.dim)) for p in ports
    ]


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


def too_large(summary: ModelSummary) -> str | None:
    """Why a quantiser that builds one protobuf cannot take the model, or None."""
    if summary.size_bytes <= MAX_QUANTISED_BYTES:
        return None
    return (
        f"the model has {summary.size_bytes / 1e9:.1f} GB and this pass reads up to "
        f"{MAX_QUANTISED_BYTES / 1e9:.1f} GB"
    )


def kinds(summary: ModelSummary) -> set[str]:
    """Which operator kinds the model holds."""
    return {operator.kind for operator in summary.operators}


def weighted_kinds(summary: ModelSummary) -> set[str]:
    """Which operator kinds read constants of their own."""
    return {operator.kind for operator in summary.operators if operator.weight_bytes > 0}


def has_int8_dot(device: Device | None) -> bool:
    """Whether the CPU multiplies unsigned by signed int8 without saturating in 16 bits.

    x86 without VNNI adds pairs of products in 16 bits (``vpmaddubsw``), which overflows
    with 8-bit weights; there weights are kept to 7 bits. Arm has no such step.
    """
    if device is None:
        return False
    sets = {name.lower() for name in device.instruction_sets}
    return is_arm(device) or bool(sets & {"avx512_vnni", "avx_vnni", "amx_int8"})


def is_arm(device: Device | None) -> bool:
    """Whether the device is an Arm CPU, whose kernels take signed activations."""
    return device is not None and device.architecture.lower() in ("aarch64", "arm64")
