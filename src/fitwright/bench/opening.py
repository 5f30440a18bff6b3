"""A fresh child and what can be read from it before it is judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fitwright.bench.load import busy_block
from fitwright.bench.setup import Setup, Target
from fitwright.errors import BackendMissing, ModelRefused, PlanError, TrialFailed
from fitwright.ports import Samples, Tensors, Worker
from fitwright.records.figure import Figure

MIN_QUERIES_AGREEMENT = 16
MIN_QUERIES_SCREEN = 4
MIN_QUERIES_LABELLED = 64
MIN_LOAD_S = 0.2


def open_worker(setup: Setup, target: Target) -> Worker:
    """Start a child for the candidate and compile in it.

    Raises:
        TrialFailed: it dies, or the backend refuses the file or the settings; a refusal ends
            this candidate and not the run.
    """
    try:
        return setup.executor.open(
            target.runtime, target.model, target.candidate.settings, limits=setup.limits
        )
    except (PlanError, BackendMissing, ModelRefused) as error:
        raise TrialFailed(error.rule, remedy=error.remedy, detail=error.rule) from error


def first_queries(setup: Setup, worker: Worker) -> tuple[dict[str, Figure], float]:
    """Memory while serving the contract's traffic, and the scale of a query's time.

    Read before the evaluation samples are handed over, which are no part of the footprint.
    """
    traffic = setup.need.traffic
    worker.feed({name: values[:1] for name, values in setup.samples.inputs.items()})
    probe_s = min(worker.time_block(seconds=0.0, min_runs=3))
    if traffic.scenario != "single_stream":
        seconds = max(MIN_LOAD_S, 2 * probe_s)
        busy_block(worker, traffic=traffic, seconds=seconds, seed=setup.seed, latency_s=probe_s)
    return {"peak_memory": memory_figure(worker)}, probe_s


def memory_figure(worker: Worker) -> Figure:
    """Peak resident memory of the child so far."""
    return Figure.measured(
        float(worker.peak_memory_bytes()),
        unit="bytes",
        source="peak resident memory of the child: model, backend and Python together",
    )


def affordable(
    setup: Setup, *, probe_s: float, budget_s: float, screen: bool = False
) -> tuple[Samples, Tensors]:
    """Evaluation samples that verification can run in time, evenly spread, and the reference.

    All of them when they fit in `budget_s`; never fewer than 64 with labels or 16 without.

    Args:
        screen: the full number follows for whoever passes, so 4 are enough without labels.
    """
    num = setup.samples.num_queries
    floor = MIN_QUERIES_SCREEN if screen else MIN_QUERIES_AGREEMENT
    if setup.samples.labels is not None:
        floor = MIN_QUERIES_LABELLED
    wanted = max(floor, int(budget_s / probe_s) if probe_s > 0 else num)
    if wanted >= num:
        return setup.samples, setup.reference
    return subset(setup.samples, setup.reference, np.linspace(0, num - 1, wanted).astype(int))


def subset(
    samples: Samples, reference: Tensors, queries: NDArray[np.intp]
) -> tuple[Samples, Tensors]:
    """Some queries with their labels and reference outputs."""
    return samples.picked(queries), {name: values[queries] for name, values in reference.items()}


def static_figures(target: Target, worker: Worker) -> dict[str, Figure]:
    """What needs no timing."""
    return {
        "size": Figure.measured(float(target.size_bytes), unit="bytes", source="files it needs"),
        "load_time": Figure.measured(
            worker.load_s, unit="s", source="import of the backend and compilation, once"
        ),
    }
