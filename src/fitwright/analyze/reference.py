"""The original's own answers: what every candidate is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fitwright.errors import ModelRefused, PlanError, TrialFailed
from fitwright.ports import Array, ChildLimits, Executor, Runtime, Samples, Worker
from fitwright.records.plan import Settings

PLAIN = Settings(precision="float32", graph_optimization="basic")
"""How the original is run for its reference outputs: full precision, little rewriting."""

PLAIN_ELSEWHERE = Settings(precision="float32")
"""The same for backends that offer no choice of how far they rewrite."""

FEWEST = 64
"""Queries that are answered however slow the model is, if there are as many."""

_SLACK = 4.0  # a busy machine may be this much slower than the first queries were


def reference_outputs(
    model: Path,
    samples: Samples,
    *,
    executor: Executor,
    runtime: Runtime,
    limits: ChildLimits,
    budget_s: float,
) -> tuple[Samples, dict[str, Array]]:
    """The queries answered and the original's outputs in float32, shape (queries, *output).

    All of them when the original answers them within `budget_s`, else as many as it can,
    evenly spread, and never fewer than `FEWEST`.

    Raises:
        ModelRefused: it cannot be loaded or run within the limits, or gives NaN or infinity.
    """
    patient = replace(limits, wall_s=max(limits.wall_s, _SLACK * budget_s))
    try:
        worker = _opened(model, executor=executor, runtime=runtime, limits=patient)
        try:
            answered = _affordable(worker, samples, budget_s=budget_s)
            worker.feed(answered.inputs)
            outputs = worker.outputs()
        finally:
            worker.close()
    except TrialFailed as error:
        raise ModelRefused(
            f"the original {model.name} does not run on {runtime.name}: {error.rule}",
            code="FW246",
            remedy="Check that it runs by itself; out of time or memory, give fewer samples or a "
            "smaller 'traffic.batch'; else state realistic values under 'inputs:' or 'data:'.",
        ) from error
    _check_finite(outputs, answered)
    return answered, outputs


def _opened(model: Path, *, executor: Executor, runtime: Runtime, limits: ChildLimits) -> Worker:
    try:
        return executor.open(runtime, model, PLAIN, limits=limits)
    except PlanError:
        return executor.open(runtime, model, PLAIN_ELSEWHERE, limits=limits)


def _affordable(worker: Worker, samples: Samples, *, budget_s: float) -> Samples:
    """As many queries as fit in the time, told from the faster of two."""
    if samples.num_queries <= FEWEST:
        return samples
    worker.feed({name: values[:1] for name, values in samples.inputs.items()})
    query_s = min(worker.time_block(seconds=0.0, min_runs=2))
    num = max(FEWEST, int(budget_s / max(query_s, 1e-9)))
    if num >= samples.num_queries:
        return samples
    return samples.picked(np.linspace(0, samples.num_queries - 1, num).round().astype(int))


def _check_finite(outputs: Mapping[str, Any], samples: Samples) -> None:
    for name, values in outputs.items():
        if values.dtype.kind != "f" or bool(np.isfinite(values).all()):
            continue
        query = int(np.argwhere(~np.isfinite(values))[0][0])
        synthetic = samples.origin == "synthetic"
        raise ModelRefused(
            f"output '{name}' of the original is not finite on query {query} of "
            f"{samples.num_queries} ({samples.origin} inputs)",
            code="FW247",
            remedy="State the ranges that the model was made for under 'inputs:', or give 'data:'."
            if synthetic
            else "The model itself gives NaN or infinity on this data; correct the model or it.",
        )
