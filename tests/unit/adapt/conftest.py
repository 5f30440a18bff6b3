"""A workshop of toy passes on plain files, so that the bookkeeping is tested alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fitwright.adapt.adapt import RecipeKey, Workshop
from fitwright.adapt.variants import original_variant
from fitwright.errors import FitwrightError
from fitwright.ports import ChildLimits, TransformRequest, TransformResult
from fitwright.records.device import Device
from fitwright.records.figure import Figure
from fitwright.records.model import ModelSummary, OperatorCost, TensorInfo
from fitwright.records.plan import Settings
from fitwright.records.recipe import (
    Bf16,
    FixShapes,
    Fp16Weights,
    Int8Dynamic,
    Int8Static,
    Recipe,
    Variant,
)

BOTH = ("onnxruntime", "openvino")


@dataclass(frozen=True, kw_only=True)
class Suffix:
    """A pass that appends its word to the file; an empty word changes nothing."""

    word: str
    requires: str = "a file"
    ensures: str = "the file ends with the word"
    backends: tuple[str, ...] = BOTH
    why_not: str | None = None

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        return self.why_not

    def __call__(self, request: TransformRequest) -> TransformResult:
        if not self.word:
            return TransformResult(
                file=request.model, backends=BOTH, modified=False, notes=("nothing found",)
            )
        out = request.folder / "model.onnx"
        out.write_text(request.model.read_text() + self.word)
        return TransformResult(file=out, backends=self.backends, notes=(f"added {self.word}",))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A pass that changes no file."""

    requires: str = "a file"
    ensures: str = "a setting"

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        return None

    def __call__(self, request: TransformRequest) -> TransformResult:
        return TransformResult(
            file=request.model,
            backends=("openvino",),
            settings=Settings(precision="bfloat16"),
        )


@dataclass
class HereExecutor:
    """Calls in this process and counts; fails instead when told to, after writing half a file."""

    fails: FitwrightError | None = None
    calls: list[str] = field(default_factory=list)

    def call(self, function: Callable[..., Any], limits: ChildLimits, /, *args: Any) -> Any:
        (request,) = args
        self.calls.append(request.recipe.kind)
        if self.fails is not None:
            (request.folder / "model.onnx").write_text("half")
            raise self.fails
        return function(request)

    def open(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("adapt opens no worker")


@pytest.fixture
def device() -> Device:
    """A CPU of which only the backends matter here."""
    unknown = Figure.unavailable("a test device")
    return Device(
        id="test",
        kind="cpu",
        name="Test CPU",
        architecture="x86_64",
        instruction_sets=("avx2",),
        num_cores=2,
        num_threads=2,
        caches=(),
        memory_bytes=8 << 30,
        peaks={},
        bandwidth=unknown,
        idle_power=unknown,
        loaded_power=unknown,
        software={},
        backends=BOTH,
    )


def operator(kind: str, *, flops: int = 1000) -> OperatorCost:
    """An operator of which only kind and FLOP matter here."""
    return OperatorCost(
        name=kind,
        kind=kind,
        flops=flops,
        elementwise_flops=0,
        bytes_read=8,
        bytes_written=8,
        weight_bytes=4,
        num_parameters=1,
        activation_bytes=8,
    )


@pytest.fixture
def summary(tmp_path: Path) -> ModelSummary:
    """Of a model file that holds the word ``model``."""
    path = tmp_path / "model.onnx"
    path.write_text("model")
    port = TensorInfo(name="x", dtype="float32", shape=(1, 4))
    return ModelSummary(
        path=str(path),
        sha256=hashlib.sha256(b"model").hexdigest(),
        size_bytes=5,
        ir_version=8,
        opsets={"ai.onnx": 17},
        inputs=(port,),
        outputs=(port,),
        bindings={},
        operators=(operator("MatMul"),),
        uncounted=(),
        lifetimes=(),
        num_parameters=1,
        weight_bytes=4,
        peak_activation_bytes=8,
    )


@pytest.fixture
def original(summary: ModelSummary) -> Variant:
    return original_variant(summary)


Tables = dict[RecipeKey, Any]


@pytest.fixture
def workshop(tmp_path: Path, summary: ModelSummary, device: Device) -> Workshop:
    """Toy passes, no child process; results go to ``run/variants``."""
    calibration = tmp_path / "calibration.npz"
    calibration.write_bytes(b"any")
    calibration.with_suffix(".txt").write_text("calibrated on toys")
    transforms: Tables = {
        (FixShapes, ""): Suffix(word=" fixed"),
        (Fp16Weights, ""): Suffix(word=" half"),
        (Int8Static, "onnxruntime"): Suffix(word=" int8"),
        (Int8Dynamic, ""): Suffix(word=" dynamic", backends=("onnxruntime",)),
        (Bf16, ""): Setting(),
    }
    return Workshop(
        summary=summary,
        device=device,
        transforms=transforms,
        executor=HereExecutor(),
        limits=ChildLimits(),
        calibration=calibration,
        folder=tmp_path / "run" / "variants",
    )
