"""Both costs of each group, from a probe whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fitwright.adapt.sensitivity import NUM_QUERIES, analyse
from fitwright.ports import Array, ChildLimits, Tensors
from fitwright.ports.probe import Subject
from fitwright.records.plan import Settings
from fitwright.records.recipe import FixShapes, Int8Static
from fitwright.records.sensitivity import OperatorTime, Profile, Sensitivity
from fitwright.testing.models import write_two_layers

FIRST, LAST = "product", "score"  # nameless in the file, so called by their outputs
CHAIN = (FixShapes(), Int8Static(toolkit="nncf"))


@dataclass(frozen=True)
class KnownProbe:
    """Two layers: the first gains 3 ms and errs by 3 %, the second loses 1 ms and errs by 4 %."""

    def profile(
        self, subjects: Sequence[Subject], *, graph: Path, inputs: Tensors, runs: int
    ) -> tuple[Profile, ...]:
        def node(name: str, seconds: float, **links: Any) -> OperatorTime:
            return OperatorTime(name=name, kind="k", seconds=(seconds,) * runs, **links)

        float_nodes = (
            node("a", 5e-3, operators=(FIRST, "hidden")),
            node("b", 2e-3, operators=(LAST,)),
            node("copy", 1e-3),
        )
        int8_nodes = (
            node("a", 2e-3, operators=(FIRST, "hidden")),
            node("b", 1e-3, operators=(LAST,)),
            node("reorder", 2e-3, serves=(LAST,)),
            node("copy", 4e-3),
        )
        whole = (8e-3,) * runs
        return tuple(Profile(times=t, whole_s=whole) for t in (float_nodes, int8_nodes))

    def quantised(self, model: Path, *, graph: Path) -> tuple[str, ...]:
        return (FIRST, LAST)

    def distances(
        self, model: Path, *, graph: Path, inputs: Tensors, alone: Sequence[frozenset[str]]
    ) -> Array:
        error = {FIRST: 0.03, LAST: 0.04}
        num = len(next(iter(inputs.values())))
        return np.array(
            [[[sum(error[o] ** 2 for o in names), 1.0]] * num for names in alone], np.float64
        )


class HereExecutor:
    """Calls in this process."""

    def call(self, function: Callable[..., Any], limits: ChildLimits, /, *a: Any, **k: Any) -> Any:
        return function(*a, **k)

    def open(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing is opened")


@pytest.fixture
def found(tmp_path: Path) -> Sensitivity:
    graph = write_two_layers(tmp_path / "m.onnx", batch=1)
    np.savez(tmp_path / "c.npz", x=np.zeros((20, 1, 16), np.float32))
    return analyse(
        CHAIN,
        graph=graph,
        int8=tmp_path / "m.xml",
        backend="openvino",
        settings=Settings(),
        probes={"openvino": KnownProbe()},
        calibration=tmp_path / "c.npz",
        executor=HereExecutor(),
        limits=ChildLimits(),
    )


def test_errors_are_those_of_each_group_alone_and_the_whole(found: Sensitivity) -> None:
    # exact up to rounding: the probe's squares are 0.03², 0.04² and their sum
    errors = [e.error.value for e in found.effects]
    assert errors == [pytest.approx(0.03), pytest.approx(0.04)]
    assert found.error.value == pytest.approx(0.05)
    assert found.error.num_samples == NUM_QUERIES


def test_conversions_count_with_the_group_that_reads_them(found: Sensitivity) -> None:
    gained = {e.group.operators: e.gained.value for e in found.effects}
    # exact up to rounding: 5 - 2 ms; 2 - (1 + 2) ms
    assert gained == {(FIRST,): pytest.approx(3e-3), (LAST,): pytest.approx(-1e-3)}


def test_time_of_no_group_is_named_not_dropped(found: Sensitivity) -> None:
    # exact up to rounding: 1 - 4 ms
    assert found.unassigned.value == pytest.approx(-3e-3)


def test_the_record_survives_its_file(found: Sensitivity) -> None:
    assert Sensitivity.model_validate_json(found.to_json()) == found
