"""One rewriting of a model file: open, infer shapes, rewrite, write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common

from fitwright.graph.rewrite.edit import Tally, infer_shapes, swept
from fitwright.graph.write import open_for_edit, write_model

_TAKEN = ("gemm_input_shape", "gemm_output_shape")

Rewriting = Callable[[ir.Model], Tally]


def rewrite(model: Path, out: Path, *, by: Rewriting) -> Tally:
    """Write `model` to `out` as the rewriting makes it; nothing is written when nothing changed.

    Requires: a model that `read_model` accepts, with static input shapes. Ensures: names and
    types of inputs and outputs stay, and so do the outputs up to rounding.
    """
    graph_model = open_for_edit(model)
    prepared(graph_model)
    tally = by(graph_model)
    if tally.modified:
        swept(graph_model)
        common.NameFixPass()(graph_model)
        write_model(graph_model, out)
    return tally


def prepared(model: ir.Model) -> None:
    """Constants as initializers, and the shape of every value that ONNX can infer."""
    common.LiftConstantsToInitializersPass(lift_all_constants=True)(model)
    _free_names_of_shapes(model.graph)
    infer_shapes(model)


def _free_names_of_shapes(graph: ir.Graph) -> None:
    """ONNX Runtime, when it fuses again, gives a new shape the name of one it wrote before,
    and then refuses the model."""
    for name in [n for n in graph.initializers if n.startswith(_TAKEN)]:
        value = graph.initializers.pop(name)
        value.name = f"fixed_{name}"
        graph.register_initializer(value)
