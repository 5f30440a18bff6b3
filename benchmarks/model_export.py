"""Writes a torch module as the files that the benchmark reads: ONNX with fixed shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

OPSET = 18
IR_VERSION = 10


def export(
    model: nn.Module,
    arguments: dict[str, Tensor],
    *,
    outputs: Sequence[str],
    file: Path,
    free: tuple[Mapping[int, Any], ...] | None = None,
) -> None:
    """One self-contained ONNX file with fixed shapes and nothing about the machine in it.

    The file appears complete or not at all: others may be reading an older one.

    Args:
        free: for each argument the axes of any size, each a `torch.export.Dim`.
    """
    unfinished = file.with_suffix(".unfinished")
    torch.onnx.export(
        model,
        tuple(arguments.values()),
        str(unfinished),
        input_names=list(arguments),
        output_names=list(outputs),
        opset_version=OPSET,
        external_data=False,
        dynamo=True,
        verbose=False,
        dynamic_shapes=free,
    )
    exported = onnx.load(unfinished)
    strip(exported)
    onnx.save(exported, unfinished)
    unfinished.replace(file)


def save_weights(model: nn.Module, file: Path) -> None:
    """The module's parameters and buffers, for those who run the module itself."""
    unfinished = file.with_suffix(".unfinished")
    torch.save(model.state_dict(), unfinished)
    unfinished.replace(file)


def strip(model: onnx.ModelProto) -> None:
    """Drop the stack traces and other notes of the exporter."""
    model.ir_version = min(model.ir_version, IR_VERSION)
    graph = model.graph
    graph.name = "model"
    del model.metadata_props[:]
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
