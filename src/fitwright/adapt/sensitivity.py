"""Both costs of int8, group by group: the error it adds and the time it saves.

The error of a group is measured with that group alone in int8. The other way round, all but
one, would show each group as a small difference of two large errors; alone, it is the
error itself, and the errors of several groups add in squares. Nothing is recalibrated: one
calibrated model is switched, group by group, which costs one compilation each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fitwright.adapt.calibration import calibration_in_runs
from fitwright.adapt.groups import group_operators
from fitwright.graph.dependencies import dependencies
from fitwright.ports import Array, ChildLimits, Executor
from fitwright.ports.probe import Probe, Subject
from fitwright.records.agenda import Chain
from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.sensitivity import (
    Group,
    GroupEffect,
    OperatorTime,
    Profile,
    Sensitivity,
)

NUM_QUERIES = 8
FEWEST_RUNS = 2
NUM_RUNS = 15
_NUM_DRAWS = 500


def analyse(
    chain: Chain,
    *,
    graph: Path,
    int8: Path,
    backend: str,
    settings: Settings,
    probes: Mapping[str, Probe],
    calibration: Path,
    executor: Executor,
    limits: ChildLimits,
) -> Sensitivity:
    """Take an int8 variant apart, in child processes.

    Args:
        chain: the recipes of the variant; the last is an `Int8Static` that keeps nothing.
        graph: the float model that the last recipe quantised, an ONNX file.
        int8: what it made: OpenVINO's format (switched by OpenVINO) or ONNX (by ONNX Runtime).
        backend: where the time is taken, with these settings for both models.
        probes: by backend.
        calibration: the ``.npz`` that the recipe was calibrated on.
        limits: for each of the four calls.

    Raises:
        TrialFailed: a child died; nothing is known then.
    """
    switching = probes["openvino" if int8.suffix == ".xml" else "onnxruntime"]
    inputs = _queries(calibration_in_runs(calibration, settings), settings.batch)
    quantised = executor.call(switching.quantised, limits, int8, graph=graph)
    nodes = executor.call(dependencies, limits, graph)
    groups = group_operators(nodes, quantised)
    alone = [frozenset(group.operators) for group in groups]
    squares = executor.call(
        switching.distances, limits, int8, graph=graph, inputs=inputs,
        alone=[*alone, frozenset(quantised)],
    )  # fmt: skip
    subjects = [Subject(model=model, settings=settings) for model in (graph, int8)]
    in_float, in_int8 = executor.call(
        probes[backend].profile, limits, subjects, graph=graph, inputs=inputs, runs=NUM_RUNS
    )
    *errors, whole = (_distance(each) for each in squares)
    before, after = _group_seconds(groups, in_float), _group_seconds(groups, in_int8)
    effects = tuple(
        GroupEffect(
            group=group,
            error=error,
            float_time=_seconds(before[i], source="sum over the group's operators"),
            gained=_seconds(before[i] - after[i], source="float less int8, run in turn"),
        )
        for i, (group, error) in enumerate(zip(groups, errors, strict=True))
    )
    rest = _seconds(before[-1] - after[-1], source="nodes that belong to no group")
    return Sensitivity(chain=chain, backend=backend, effects=effects, error=whole, unassigned=rest)


def _queries(calibration: Path, batch: int) -> dict[str, Array]:
    """A few runs of so many queries, spread evenly over the calibration data."""
    with np.load(calibration) as archive:
        arrays = {name: archive[name] for name in archive.files}
    num = len(next(iter(arrays.values())))
    wanted = min(num, max(FEWEST_RUNS, NUM_QUERIES // batch))
    picked = np.linspace(0, num - 1, wanted).round().astype(int)
    return {name: array[picked] for name, array in arrays.items()}


def _distance(squares: Array) -> Figure:
    """Relative L2 distance from squared errors and sizes, shape (queries, 2)."""
    error, size = squares[:, 0], squares[:, 1]
    drawn = np.random.default_rng(0).integers(0, len(error), (_NUM_DRAWS, len(error)))
    tiny = np.finfo(np.float64).tiny
    values = np.sqrt(error[drawn].sum(axis=1) / np.maximum(size[drawn].sum(axis=1), tiny))
    value = float(np.sqrt(error.sum() / max(float(size.sum()), tiny)))
    return _figure(value, values, num=len(error), unit="", source="outputs in float32")


def _seconds(each: Array, *, source: str) -> Figure:
    """Median over the runs with a bootstrap interval."""
    drawn = np.random.default_rng(0).integers(0, len(each), (_NUM_DRAWS, len(each)))
    values = np.median(each[drawn], axis=1)
    return _figure(float(np.median(each)), values, num=len(each), unit="s", source=source)


def _figure(value: float, drawn: Array, *, num: int, unit: str, source: str) -> Figure:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure.measured(
        value,
        low=min(value, float(low)),
        high=max(value, float(high)),
        unit=unit,
        source=source,
        num_samples=num,
    )


def _group_seconds(groups: Sequence[Group], profile: Profile) -> Array:
    """Shape (groups + 1, runs); the last row is what belongs to no group."""
    leading = {name: i for i, g in enumerate(groups) for name in g.operators}
    following = {name: i for i, g in enumerate(groups) for name in g.followers}
    seconds = np.zeros((len(groups) + 1, len(profile.whole_s)))
    for time in profile.times:
        rows = _rows(time, leading, following) or [len(groups)]
        for row in rows:
            seconds[row] += np.asarray(time.seconds) / len(rows)
    return seconds


def _rows(
    time: OperatorTime, leading: Mapping[str, int], following: Mapping[str, int]
) -> list[int]:
    """Groups that share a node's time: those whose quantised operators are in it, else those
    of its other operators; a conversion counts with the operators that read its result."""
    for names in (time.operators, time.serves):
        for table in (leading, following):
            if rows := sorted({table[name] for name in names if name in table}):
                return rows
    return []
