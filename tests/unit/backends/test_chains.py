"""Chains through real child processes: made, reloaded in fresh ones, and killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitwright.adapt.adapt import Workshop, adapt, adapt_all
from fitwright.adapt.propose import agenda
from fitwright.adapt.variants import original_variant, variant_path
from fitwright.backends import RUNTIMES
from fitwright.backends.recipes import RECIPES
from fitwright.executors.local import LocalExecutor
from fitwright.ports import Array, ChildLimits, TransformRequest
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.recipe import FixShapes, Int4Weights, Int8Static, Skipped, Variant
from fitwright.testing import faults
from fitwright.testing.network import network_events

LIMITS = ChildLimits(wall_s=60.0)
Build = Callable[..., Path]


@pytest.fixture
def workshop_for(
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
    device: Device,
    tmp_path: Path,
) -> Callable[[Path], Workshop]:
    """The real passes in real children."""

    def opened(model: Path) -> Workshop:
        summary = summary_of(model)
        return Workshop(
            summary=summary,
            device=device,
            transforms=RECIPES,
            executor=LocalExecutor(),
            limits=LIMITS,
            calibration=calibration_of(summary),
            folder=tmp_path / "run" / "variants",
        )

    return opened


def fresh_answers(variant: Variant, workshop: Workshop, x: Array) -> list[Array]:
    """Outputs of the file on disk, from a new process per backend."""
    found = []
    for backend in variant.backends:
        if variant.settings.precision == "bfloat16":
            continue  # only where the CPU has the instructions; the file is tested without
        path = variant_path(variant, workshop.folder.parent)
        worker = workshop.executor.open(RUNTIMES[backend], path, variant.settings, limits=LIMITS)
        try:
            worker.feed({"x": x})
            found.append(worker.outputs()["y"])
        finally:
            worker.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "transformer"])
def test_every_proposed_chain_ends_in_a_file_that_answers_or_in_a_reason(
    name: str, build: Build, workshop_for: Callable[[Path], Workshop]
) -> None:
    pytest.importorskip("nncf")
    workshop = workshop_for(build(name, batch="batch"))
    original = original_variant(workshop.summary)
    x = np.random.default_rng(3).normal(size=(4, *workshop.summary.inputs[0].shape))
    x = x.astype(np.float32)
    (reference, *_) = fresh_answers(original, workshop, x)
    proposed = agenda(workshop.summary, workshop.device, backends=tuple(RUNTIMES)).chains
    for chain, outcome in zip(
        proposed, adapt_all(original, proposed, workshop=workshop), strict=True
    ):
        if isinstance(outcome, Skipped):
            assert outcome.reason
            continue
        # 4 bits over six standard deviations err by some 10 % per layer, 8 bits by 0.7 %.
        tolerance = 0.25 if isinstance(chain[-1], Int4Weights) else 0.1
        for y in fresh_answers(outcome, workshop, x):
            assert y.shape == reference.shape
            error = np.linalg.norm(y - reference) / np.linalg.norm(reference)
            assert error <= tolerance, outcome.title


def test_a_chain_in_a_real_child_is_stored(
    build: Build, workshop_for: Callable[[Path], Workshop]
) -> None:
    workshop = workshop_for(build("mlp", batch="batch"))
    made = adapt(original_variant(workshop.summary), (FixShapes(),), **vars(workshop))
    assert isinstance(made, Variant), made
    assert variant_path(made, workshop.folder.parent).is_file()


@dataclass(frozen=True)
class Sabotaged:
    """The real executor, with a pass that writes half a file and then goes wrong."""

    fault: Callable[[], None]

    def call(self, function: Any, limits: ChildLimits, /, request: Any) -> Any:
        (request.folder / "model.onnx").write_bytes(b"half a model")
        return LocalExecutor().call(self.fault, limits)

    def open(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("adapt opens no worker")


@pytest.mark.parametrize("fault", [faults.segfault, faults.raise_value_error])
def test_a_pass_that_dies_leaves_nothing_but_a_reason(
    fault: Callable[[], None], build: Build, workshop_for: Callable[[Path], Workshop]
) -> None:
    workshop = workshop_for(build("mlp"))
    broken = {**vars(workshop), "executor": Sabotaged(fault)}
    outcome = adapt(original_variant(workshop.summary), (FixShapes(),), **broken)
    assert isinstance(outcome, Skipped)
    assert outcome.reason.startswith("fix_shapes: ")
    assert list(workshop.folder.iterdir()) == []


def test_nncf_makes_no_call_to_the_network(
    build: Build, workshop_for: Callable[[Path], Workshop], tmp_path: Path
) -> None:
    pytest.importorskip("nncf")
    workshop = workshop_for(build("mlp"))
    folder = tmp_path / "made"
    folder.mkdir()
    request = TransformRequest(
        recipe=Int8Static(toolkit="nncf"),
        model=Path(workshop.summary.path),
        summary=workshop.summary,
        calibration=workshop.calibration,
        folder=folder,
    )
    transform = RECIPES[Int8Static, "nncf"]
    assert workshop.executor.call(network_events, LIMITS, transform, request) == []
    assert (folder / "model.xml").is_file()
