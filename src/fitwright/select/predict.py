"""One device, one dtype, one runtime: time, memory and energy of a model, predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from fitwright.perf.energy import energy_j
from fitwright.perf.graph_time import GraphTime, Prepared, graph_time, prepare
from fitwright.perf.operators.shapes import BITS
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import Binds, Bottleneck, Way
from fitwright.records.sheet import Sheet
from fitwright.select.asked import RUNTIMES, Asked

NUM_BOTTLENECKS = 3
ROUNDING = frozenset({"int8", "int4", "float8", "float4"})
"""Dtypes whose accuracy has to be measured: too few bits to hold float weights as they are."""


Forecast = Callable[[Sheet, Asked], Way]
"""Time, memory and energy of one way on one device; `NoData` inside where there is none."""


@dataclass(kw_only=True)
class Forecaster:
    """`Forecast` by the performance model; what does not depend on the device is kept.

    Attributes:
        summary: the model.
        table: fitted constants of every topic, calibrated ones first.
        batch: inferences of one query.
    """

    summary: ModelSummary
    table: Sequence[Evidence]
    batch: int = 1
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    _energies: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        self._energies = tuple(e for e in self.table if e.what == "energy")

    def __call__(self, sheet: Sheet, asked: Asked) -> Way:
        prepared = self._as_run_by(asked.runtime)
        found = graph_time(
            prepared,
            sheet,
            self.table,
            dtype=asked.dtype,
            batch=asked.batch,
            streams=asked.streams,
        )
        if isinstance(found, NoData):
            return nothing_known(asked, found)
        return Way(
            dtype=asked.dtype,
            runtime=asked.runtime,
            rounds=asked.dtype in ROUNDING,
            batch=asked.batch,
            streams=asked.streams,
            latency_s=found.latency,
            memory_bytes=found.memory.model_copy(update={"unit": "bytes"}),
            energy_j=self._energy(found, sheet, asked),
            roofline_s=found.floor_s,
            binds=_binds(found),
            bottlenecks=_bottlenecks(found),
            num_unruled=len(found.uncovered),
        )

    def _as_run_by(self, runtime: str) -> Prepared:
        if runtime not in self._prepared:
            self._prepared[runtime] = prepare(self.summary, runtime=RUNTIMES[runtime])
        return self._prepared[runtime]

    def _energy(self, found: GraphTime, sheet: Sheet, asked: Asked) -> Estimate | NoData:
        """Of one inference: all streams' work in one run's time, shared among its queries."""
        scale = BITS.get(asked.dtype, 32) / 32
        kernels = found.prepared.kernels
        queries = asked.batch * asked.streams
        flops = queries * sum(k.flops for k in kernels)
        activations = queries * sum(k.activation_bytes for k in kernels)
        weights = asked.streams * sum(k.weight_bytes for k in kernels)
        run = energy_j(
            time_s=found.latency.value,
            flops=flops,
            bytes_moved=scale * (activations + weights),
            sheet=sheet,
            dtype=asked.dtype,
            table=self._energies,
        )
        return run if isinstance(run, NoData) else _shared(run, queries * self.batch)


def nothing_known(asked: Asked, why: NoData) -> Way:
    """A way that runs and that nothing can be said about."""
    return Way(
        dtype=asked.dtype,
        runtime=asked.runtime,
        rounds=asked.dtype in ROUNDING,
        batch=asked.batch,
        streams=asked.streams,
        latency_s=why,
        memory_bytes=why,
        energy_j=why,
    )


def _shared(estimate: Estimate, among: int) -> Estimate:
    return estimate.model_copy(
        update={
            "value": estimate.value / among,
            "low": estimate.low / among,
            "high": estimate.high / among,
        }
    )


def _binds(found: GraphTime) -> dict[Binds, float]:
    """Share of the time that each resource binds, largest first."""
    total = float(found.part_s.sum()) or 1.0
    shares: dict[Binds, float] = {}
    for seconds, binds in zip(found.part_s, found.binds, strict=True):
        key = cast(Binds, binds)
        shares[key] = shares.get(key, 0.0) + float(seconds) / total
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _bottlenecks(found: GraphTime) -> tuple[Bottleneck, ...]:
    total = float(found.part_s.sum()) or 1.0
    return tuple(
        Bottleneck(
            name=part.name or part.kinds[0],
            kind=part.kinds[0],
            share=part.seconds / total,
            binds=cast(Binds, part.binds),
        )
        for part in found.slowest(NUM_BOTTLENECKS)
    )
