"""Operators of an int8 model left in floating point: exactly the float model where all are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.graph.dependencies import dependencies
from fitwright.ports import Array, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Int8Static

TOOLKITS = {"onnxruntime": "onnxruntime", "nncf": "openvino"}
Make = Callable[..., TransformResult]


@pytest.fixture
def make(
    tmp_path: Path,
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
    device: Device,
) -> Make:
    """Int8 with some operators kept, from a calibrated model where one is given."""
    folders = iter(range(100))

    def made(
        model: Path,
        toolkit: str,
        *,
        keep: tuple[str, ...] = (),
        calibrated: Path | None = None,
        **options: bool,
    ) -> TransformResult:
        if toolkit == "nncf":
            pytest.importorskip("nncf")
        folder = tmp_path / f"made{next(folders)}"
        folder.mkdir()
        summary = summary_of(model)
        recipe = Int8Static(toolkit=toolkit, keep=keep, **options)
        request = TransformRequest(
            recipe=recipe,
            model=model,
            summary=summary,
            calibration=None if calibrated else calibration_of(summary),
            folder=folder,
            device=device,
            calibrated=calibrated,
        )
        return RECIPES[Int8Static, toolkit](request)

    return made


def answer(model: Path, backend: str, shape: tuple[int, ...]) -> Array:
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    settings = Settings(precision="float32") if backend == "openvino" else Settings()
    return RUNTIMES[backend].load(model, settings).run({"x": x})["y"]


def distance(ours: Array, theirs: Array) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


SHAPES = {"cnn": (2, 3, 16, 16), "mlp": (2, 64), "transformer": (2, 12, 64)}


@pytest.mark.slow
@pytest.mark.parametrize("toolkit", TOOLKITS)
@pytest.mark.parametrize("name", SHAPES)
def test_keeping_every_operator_gives_the_float_model_and_all_but_one_does_not(
    build: Callable[..., Path], make: Make, name: str, toolkit: str
) -> None:
    model, backend = build(name), TOOLKITS[toolkit]
    exact = answer(model, backend, SHAPES[name])
    calibrated = make(model, toolkit).file
    operators = [n.name for n in dependencies(model)]
    computing = [n.name for n in dependencies(model) if n.weight]

    def error(*keep: str) -> float:
        kept = make(model, toolkit, keep=keep, calibrated=calibrated) if keep else None
        return distance(answer(kept.file if kept else calibrated, backend, SHAPES[name]), exact)

    # 1e-6: the same float32 arithmetic in another order of fusion
    assert error(*operators) < 1e-6
    assert error(*computing[:-1]) > 1e-4
    assert error() > 1e-4  # 8 bits round far more coarsely, some 1e-2


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_the_note_counts_the_operators_and_unknown_names_keep_nothing(
    build: Callable[..., Path], make: Make, toolkit: str
) -> None:
    model = build("mlp")
    calibrated = make(model, toolkit)
    kept = make(model, toolkit, keep=(first(model), "no such"), calibrated=calibrated.file)
    assert kept.notes[-1] == "1 of 3 int8 operators kept in floating point"
    assert kept.modified
    assert (kept.format, kept.backends) == (calibrated.format, calibrated.backends)


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_keeping_all_there_is_changes_nothing_and_says_so(
    build: Callable[..., Path], make: Make, toolkit: str
) -> None:
    model = build("mlp")
    everything = tuple(n.name for n in dependencies(model))
    assert not make(model, toolkit, keep=everything).modified


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_with_and_without_a_calibrated_model_the_answers_are_the_same(
    build: Callable[..., Path], make: Make, toolkit: str
) -> None:
    model, backend = build("mlp"), TOOLKITS[toolkit]
    keep = (first(model),)
    again = make(model, toolkit, keep=keep).file
    spared = make(model, toolkit, keep=keep, calibrated=make(model, toolkit).file).file
    # exact: the same calibration data and the same arithmetic
    ours, theirs = (answer(file, backend, SHAPES["mlp"]) for file in (spared, again))
    assert np.array_equal(ours, theirs)


def first(model: Path) -> str:
    """Its first operator with weights."""
    return next(n.name for n in dependencies(model) if n.weight)


@pytest.mark.slow
def test_without_smoothing_and_zero_points_the_model_differs_and_still_agrees(
    build: Callable[..., Path], make: Make
) -> None:
    model = build("transformer")
    exact = answer(model, "openvino", SHAPES["transformer"])
    usual = make(model, "nncf")
    plain = make(model, "nncf", symmetric=True, smooth=False)
    assert "nncf_smooth_quant" in usual.file.read_text()
    assert "nncf_smooth_quant" not in plain.file.read_text()
    # 0.05: 8 bits round at some 1 % per tensor, over six layers
    assert distance(answer(plain.file, "openvino", SHAPES["transformer"]), exact) < 0.05
