"""Small models written as ONNX text, rewritten, and run before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import parser

from fitwright.graph.rewrite.edit import Tally
from fitwright.graph.rewrite.rewriting import Rewriting, rewrite

# float32 rounds to 6e-8; sums of up to a few hundred terms in another order differ by more
CLOSE = 2e-5


@dataclass(frozen=True)
class Outcome:
    """A model after a rewriting.

    Attributes:
        kinds: operator types left, in order; those of the input model when nothing changed.
        distance: largest difference of any output from the original's, relative to its size.
    """

    tally: Tally
    model: onnx.ModelProto
    kinds: list[str]
    distance: float


def answers(path: Path, feeds: dict[str, Any]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def drawn(model: onnx.ModelProto) -> dict[str, Any]:
    """Values for every input: normal floats, ones for integers."""
    draw, feeds = np.random.default_rng(0), {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        values = draw.normal(size=shape) if dtype.kind == "f" else np.ones(shape)
        feeds[value.name] = values.astype(dtype)
    return feeds


Rewritten = Callable[..., Outcome]


def proven(
    folder: Path,
    text: str,
    by: Rewriting,
    *,
    opset: int = 18,
    weights: dict[str, Any] | None = None,
    feeds: Sequence[dict[str, Any]] = (),
) -> Outcome:
    """Rewrite a model given as ONNX text, its weights beside it, and run both."""
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>\n'
    model = parser.parse_model(head + text)
    stored = [
        onnx.numpy_helper.from_array(np.asarray(values), name)
        for name, values in (weights or {}).items()
    ]
    model.graph.initializer.extend(stored)
    before, after = folder / "before.onnx", folder / "after.onnx"
    onnx.save(model, before)
    tally = rewrite(before, after, by=by)
    assert after.is_file() == tally.modified
    found = onnx.load(after if tally.modified else before)
    distance = max(
        (_distance(before, after, fed) for fed in (feeds or [drawn(model)]) if tally.modified),
        default=0.0,
    )
    return Outcome(tally, found, [n.op_type for n in found.graph.node], distance)


def _distance(before: Path, after: Path, feeds: dict[str, Any]) -> float:
    """Largest difference of any output, relative to the largest value of that output."""
    worst = 0.0
    for old, new in zip(answers(before, feeds), answers(after, feeds), strict=True):
        assert old.shape == new.shape and old.dtype == new.dtype
        scale = max(float(np.abs(old).max(initial=0)), 1e-6)
        worst = max(worst, float(np.abs(old - new).max(initial=0)) / scale)
    return worst
