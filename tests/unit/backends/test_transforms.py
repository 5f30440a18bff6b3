"""Each pass: what it writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.ports import Array, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    FixShapes,
    Fp16Weights,
    Int4Weights,
    Int8Dynamic,
    Int8Static,
    Int8Weights,
    Recipe,
    title,
)

Build = Callable[..., Path]
Apply = Callable[[Recipe, Path], TransformResult]

# Largest relative L2 distance allowed. Rounding to n levels over a range of about six
# standard deviations gives an error near 6 / (n * sqrt(12)) per tensor: 0.7 % for 8 bits,
# some 10 % for 4; errors of the two to six layers in these models add up.
BITS8, BITS4, HALF = 0.05, 0.25, 2e-3


@pytest.fixture
def apply(
    tmp_path: Path,
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
    device: Device,
) -> Apply:
    """Runs the pass of a recipe in this process, as a child would."""

    def applied(recipe: Recipe, model: Path) -> TransformResult:
        folder = tmp_path / "made"
        folder.mkdir()
        summary = summary_of(model)
        request = TransformRequest(
            recipe=recipe,
            model=model,
            summary=summary,
            calibration=calibration_of(summary),
            folder=folder,
            device=device,
        )
        return RECIPES[type(recipe), getattr(recipe, "toolkit", "")](request)

    return applied


def answers(model: Path, backend: str, *, batch_first: bool = True) -> dict[str, Array]:
    """Outputs on one fixed query."""
    shape = [
        d.dim_value or 2
        for d in onnx.load(_source(model)).graph.input[0].type.tensor_type.shape.dim
    ]
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    settings = Settings(precision="float32") if backend == "openvino" else Settings()
    return RUNTIMES[backend].load(model, settings).run({"x": x})


def _source(model: Path) -> Path:
    """The ONNX file a model was made from; tests write one beside ``made/``."""
    return next((model.parent.parent / "original").glob("*.onnx"))


def distance(result: TransformResult, original: Path, backend: str) -> float:
    """Relative L2 distance of the outputs from the original's, in this backend."""
    now, before = answers(result.file, backend), answers(original, "onnxruntime")
    assert now.keys() == before.keys()
    assert all(now[name].shape == before[name].shape for name in before)
    return float(np.linalg.norm(now["y"] - before["y"]) / np.linalg.norm(before["y"]))


def kinds(model: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(model).graph.node)


# --- what every pass keeps --------------------------------------------------------------

CASES = [
    (FixShapes(), "cnn", 1e-5),
    (Fp16Weights(), "cnn", HALF),
    (Fp16Weights(), "transformer", HALF),
    (Int8Static(), "cnn", BITS8),
    (Int8Static(), "mlp", BITS8),
    (Int8Static(), "transformer", BITS8),
    (Int8Static(method="entropy"), "cnn", 3 * BITS8),
    (Int8Static(method="percentile"), "cnn", BITS8),
    (Int8Dynamic(), "mlp", BITS8),
    (Int8Dynamic(), "transformer", BITS8),
    (Int8Dynamic(), "lstm", BITS8),
    (Int8Weights(), "cnn", BITS8),
    (Int8Weights(), "mlp", BITS8),
    (Int8Weights(), "transformer", BITS8),
    (Int4Weights(), "mlp", BITS4),
    (Int4Weights(), "transformer", BITS4),
]
NNCF_CASES = [
    (Int8Static(toolkit="nncf"), "cnn", BITS8),
    (Int8Static(toolkit="nncf"), "transformer", BITS8),
    (Int8Static(toolkit="nncf", method="percentile"), "mlp", BITS8),
    (Int8Static(toolkit="nncf", method="entropy"), "mlp", BITS8),
    (Int8Weights(toolkit="nncf"), "cnn", BITS8),
    (Int8Weights(toolkit="nncf"), "transformer", BITS8),
    (Int4Weights(toolkit="nncf"), "transformer", BITS4),
]


def _name(value: object) -> str | None:
    return title(value) if hasattr(value, "kind") else None  # type: ignore[arg-type]


@pytest.mark.parametrize(("recipe", "model", "tolerance"), CASES, ids=_name)
def test_every_backend_a_pass_names_answers_as_the_original_does(
    recipe: Recipe, model: str, tolerance: float, apply: Apply, build: Build
) -> None:
    original = build(model)
    result = apply(recipe, original)
    assert result.modified
    assert {b: d for b in result.backends if (d := distance(result, original, b)) > tolerance} == {}


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "model", "tolerance"), NNCF_CASES, ids=_name)
def test_nncf_writes_a_model_that_answers_as_the_original_does(
    recipe: Recipe, model: str, tolerance: float, apply: Apply, build: Build
) -> None:
    original = build(model)
    result = apply(recipe, original)
    assert (result.format, result.backends) == ("openvino_ir", ("openvino",))
    assert sorted(f.name for f in result.file.parent.iterdir()) == ["model.bin", "model.xml"]
    assert distance(result, original, "openvino") <= tolerance
