"""What a backend offers: running models, and changing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from fitwright.ports.tensors import Array, Tensors
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a backend runs here.

    Attributes:
        version: of the package, when importable.
        missing: what to install (the extra's name) or what the hardware lacks; empty when
            available.
    """

    version: str | None
    missing: str = ""


class Session(Protocol):
    """A compiled model inside a child process. Safe to call from `concurrency` threads."""

    @property
    def concurrency(self) -> int:
        """How many threads may call `run` at once to good effect."""
        ...

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One query; outputs by name."""
        ...

    def facts(self) -> Mapping[str, str]:
        """What really happened: execution device, precision, providers. No silent fallback."""
        ...


class Runtime(Protocol):
    """A backend that runs models. Picklable; imports its framework only when used."""

    @property
    def name(self) -> str:
        """Its key in the table of backends."""
        ...

    def availability(self) -> Availability:
        """Cheap: looks for the package, does not import it."""
        ...

    def formats(self) -> tuple[str, ...]:
        """Which variant formats it reads."""
        ...

    def load(self, model: Path, settings: Settings) -> Session:
        """Compile. Raises PlanError for settings this machine cannot honour."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A runtime whose framework may be imported ahead, in a process copied for each child."""

    def prepare(self) -> None:
        """Import the framework as `load` would; no thread may be left running."""
        ...


@dataclass(frozen=True, kw_only=True)
class TransformRequest:
    """What a pass gets.

    Attributes:
        model: the ONNX file to adapt (shapes fixed where the plan says so).
        calibration: ``.npz`` with one array per input, shape (queries, *input shape), or None.
        folder: empty folder to write into; the pass writes nowhere else.
        device: where the result is meant to run; decides number formats by what the
            hardware has. None: the most cautious choice.
        calibrated: what the same recipe made of the same model with nothing kept in float;
            spares a pass that keeps some operators the calibration.
        parts: `model` and the same at other lengths, by length, for a pass that joins them.
    """

    recipe: Recipe
    model: Path
    summary: ModelSummary
    calibration: Path | None
    folder: Path
    device: Device | None = None
    calibrated: Path | None = None
    parts: Mapping[int, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TransformResult:
    """What a pass made.

    Attributes:
        file: main file, beneath the request's folder.
        format: ``onnx`` or ``openvino_ir``.
        backends: which backends may run it.
        settings: what candidates of it must set.
        modified: False when the pass found nothing to change.
        notes: what was left out and why.
    """

    file: Path
    format: Literal["onnx", "openvino_ir"] = "onnx"
    backends: tuple[str, ...]
    settings: Settings = field(default_factory=Settings)
    modified: bool = True
    notes: tuple[str, ...] = ()


class Transform(Protocol):
    """A pass: the code that applies one recipe. Picklable; applied in a child process."""

    @property
    def requires(self) -> str:
        """What must hold before, for people."""
        ...

    @property
    def ensures(self) -> str:
        """What holds after, for people."""
        ...

    def refuses(self, recipe: Recipe, summary: ModelSummary, device: Device) -> str | None:
        """Why it cannot apply here, or None. Cheap; imports nothing heavy."""
        ...

    def __call__(self, request: TransformRequest) -> TransformResult:
        """Write the adapted model."""
        ...
