"""What each backend's probe tells about a small model: times, operators, distances."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fitwright.backends.probes import PROBES
from fitwright.backends.recipes import RECIPES
from fitwright.graph.dependencies import dependencies
from fitwright.ports import TransformRequest
from fitwright.ports.probe import Subject
from fitwright.records.device import Device
from fitwright.records.model import ModelSummary
from fitwright.records.plan import Settings
from fitwright.records.recipe import Int8Static

TOOLKITS = {"onnxruntime": "onnxruntime", "openvino": "nncf"}
RUNS = 3
SHAPES = {"mlp": (2, 64), "cnn": (2, 3, 16, 16), "transformer": (2, 12, 64)}
Quantise = Callable[[str, str], tuple[Path, Path]]


@pytest.fixture
def quantise(
    tmp_path: Path,
    build: Callable[..., Path],
    summary_of: Callable[[Path], ModelSummary],
    calibration_of: Callable[[ModelSummary], Path],
    device: Device,
) -> Quantise:
    """The float model and its int8 form by the backend's toolkit."""

    def made(name: str, backend: str) -> tuple[Path, Path]:
        if backend == "openvino":
            pytest.importorskip("nncf")
        model = build(name)
        summary = summary_of(model)
        (tmp_path / "int8").mkdir()
        request = TransformRequest(
            recipe=Int8Static(toolkit=TOOLKITS[backend]),
            model=model,
            summary=summary,
            calibration=calibration_of(summary),
            folder=tmp_path / "int8",
            device=device,
        )
        return model, RECIPES[Int8Static, TOOLKITS[backend]](request).file

    return made


def queries(name: str, num: int = 2) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(3).normal(size=(num, *SHAPES[name])).astype(np.float32)}


@pytest.mark.parametrize("backend", PROBES)
def test_every_run_is_read_and_products_are_found_in_both_forms(
    quantise: Quantise, backend: str
) -> None:
    graph, int8 = quantise("mlp", backend)
    subjects = [Subject(model=model, settings=Settings()) for model in (graph, int8)]
    profiles = PROBES[backend].profile(subjects, graph=graph, inputs=queries("mlp"), runs=RUNS)
    products = {n.name for n in dependencies(graph) if n.weight}
    for profile in profiles:
        assert len(profile.whole_s) == RUNS
        assert {len(t.seconds) for t in profile.times} == {RUNS}
        assert products <= {name for t in profile.times for name in t.operators}
        nowhere = [t.name for t in profile.times if not t.operators and not t.serves]
        assert nowhere == []


@pytest.mark.parametrize("backend", PROBES)
@pytest.mark.parametrize("name", [pytest.param("cnn", marks=pytest.mark.slow), "mlp"])
def test_nothing_in_int8_is_no_distance_and_everything_is_the_int8_model(
    quantise: Quantise, name: str, backend: str
) -> None:
    graph, int8 = quantise(name, backend)
    probe = PROBES[backend]
    operators = probe.quantised(int8, graph=graph)
    assert {n.name for n in dependencies(graph) if n.weight} <= set(operators)
    one = frozenset(operators[:1])
    squares = probe.distances(
        int8, graph=graph, inputs=queries(name), alone=[frozenset(), one, frozenset(operators)]
    )
    assert squares.shape == (3, 2, 2)
    nothing, some, everything = np.sqrt(squares[..., 0].sum(1) / squares[..., 1].sum(1))
    # 1e-6: float32 in another order; 1e-4: far below 8-bit rounding, some 1e-2
    assert nothing < 1e-6
    assert some > 1e-4 < everything


@pytest.mark.parametrize("backend", PROBES)
def test_a_probe_can_be_sent_to_a_child(backend: str) -> None:
    assert pickle.loads(pickle.dumps(PROBES[backend])) == PROBES[backend]
