"""Small summaries, and an executor that runs in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fitwright.errors import PlanError, TrialFailed
from fitwright.records.model import ModelSummary, TensorInfo

Tensor = tuple[str, str, tuple[int, ...]]
Summaries = Callable[..., ModelSummary]


@pytest.fixture(scope="session")
def summary_of() -> Summaries:
    """A summary with these inputs and outputs, each (name, dtype, shape)."""

    def build(*inputs: Tensor, outputs: tuple[Tensor, ...] = (("y", "float32", (1, 10)),)) -> Any:
        def infos(tensors: tuple[Tensor, ...]) -> tuple[TensorInfo, ...]:
            return tuple(TensorInfo(name=n, dtype=d, shape=s) for n, d, s in tensors)

        return ModelSummary(
            path="model.onnx",
            sha256="0",
            size_bytes=1,
            ir_version=8,
            opsets={"": 17},
            inputs=infos(inputs),
            outputs=infos(outputs),
            bindings={},
            operators=(),
            uncounted=(),
            lifetimes=(),
            num_parameters=0,
            weight_bytes=0,
            peak_activation_bytes=0,
            is_classifier_shape=len(outputs[0][2]) == 2 and outputs[0][2][1] > 1,
        )

    return build


class InProcess:
    """An executor whose child is this process; a worker computes ``function(inputs)``."""

    def __init__(self, function: Callable[[Any], dict[str, np.ndarray]] | None = None) -> None:
        self.function = function
        self.fails: TrialFailed | None = None
        self.num_open = 0
        self.query_s = 0.001
        self.refuses: set[str] = set()

    def call(self, function: Any, limits: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.fails:
            raise self.fails
        return function(*args, **kwargs)

    def open(self, runtime: Any, model: Any, settings: Any, *, limits: Any) -> InProcess:
        if self.function is None:
            raise TrialFailed("child was killed by SIGSEGV", cause="crashed")
        if settings.graph_optimization in self.refuses:
            raise PlanError("it has one level only", code="FW330")
        self.opened_with = settings
        self.num_open += 1
        return self

    def feed(self, inputs: Any) -> None:
        self.inputs = inputs

    def time_block(self, *, seconds: float, min_runs: int = 1) -> list[float]:
        return [self.query_s] * min_runs

    def outputs(self) -> dict[str, np.ndarray]:
        assert self.function is not None
        return self.function(self.inputs)

    def close(self) -> None:
        self.num_open -= 1


@pytest.fixture
def in_process() -> type[InProcess]:
    return InProcess
