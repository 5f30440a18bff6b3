"""One device, one dtype, one runtime: time, memory and energy of a model, predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from fitwright.perf.energy import energy_j
from fitwright.perf.fusion import Runtime
from fitwright.perf.graph_time import GraphTime, Prepared, graph_time, prepare
from fitwright.perf.ladder import scopes
from fitwright.perf.operators.shapes import BITS
from fitwright.records.estimate import Estimate, NoData
from fitwright.records.evidence import Evidence
from fitwright.records.model import ModelSummary
from fitwright.records.prospect import Binds, Bottleneck, Way
from fitwright.records.sheet import Sheet
from fitwright.select.asked import RUNTIMES, Asked
from fitwright.select.whole import memory_bytes, microcontroller_j, whole_network

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
    _prepared: dict[Runtime, Prepared] = field(default_factory=dict)
    _totals: dict[Runtime, tuple[float, float, float]] = field(default_factory=dict)
    _rows: dict[str, tuple[Evidence, ...]] = field(default_factory=dict)
    _named: list[tuple[Evidence, tuple[str, str]]] = field(init=False)

    def __call__(self, sheet: Sheet, asked: Asked) -> Way:
        whole = whole_network(sheet)
        if whole is not None:
            time = whole(self.summary, sheet, self._about(sheet), asked.dtype)
            if isinstance(time, NoData) and sheet.family.endswith("-mcu"):
                return self._by_operators(sheet, asked)
            return self._as_a_whole(sheet, asked, time)
        return self._by_operators(sheet, asked)

    def _as_a_whole(self, sheet: Sheet, asked: Asked, time: Estimate | NoData) -> Way:
        """A device that is known by whole networks."""
        if isinstance(time, NoData):
            return nothing_known(asked, time)
        return Way(
            dtype=asked.dtype,
            runtime=asked.runtime,
            rounds=asked.dtype in ROUNDING,
            latency_s=time,
            memory_bytes=memory_bytes(self.summary, asked.dtype),
            energy_j=self._whole_energy(sheet, asked, time),
            num_unruled=len(self.summary.uncounted),
        )

    def _whole_energy(self, sheet: Sheet, asked: Asked, time: Estimate) -> Estimate | NoData:
        if sheet.family.endswith("-mcu"):
            run = microcontroller_j(self.summary, sheet, self._about(sheet))
        else:
            run = energy_j(
                time_s=time.value,
                flops=self.summary.flops,
                bytes_moved=0.0,
                sheet=sheet,
                dtype=asked.dtype,
                table=self._about(sheet),
            )
        return run if isinstance(run, NoData) else _shared(run, self.batch)

    def _by_operators(self, sheet: Sheet, asked: Asked) -> Way:
        prepared = self._as_run_by(RUNTIMES[asked.runtime])
        found = graph_time(
            prepared,
            sheet,
            self._about(sheet),
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

    def __post_init__(self) -> None:
        self._named = [(e, (e.rung, e.scope.lower())) for e in self.table]

    def _as_run_by(self, runtime: Runtime) -> Prepared:
        if runtime not in self._prepared:
            self._prepared[runtime] = prepare(self.summary, runtime=runtime)
            kernels = self._prepared[runtime].kernels
            self._totals[runtime] = (
                sum(k.flops for k in kernels),
                sum(k.activation_bytes for k in kernels),
                sum(k.weight_bytes for k in kernels),
            )
        return self._prepared[runtime]

    def _about(self, sheet: Sheet) -> tuple[Evidence, ...]:
        """The rows whose scope names this device; the others never answer."""
        if sheet.id not in self._rows:
            named = {(rung, scope.lower()) for rung, scope in scopes(sheet).items()}
            self._rows[sheet.id] = tuple(e for e, name in self._named if name in named)
        return self._rows[sheet.id]

    def _energy(self, found: GraphTime, sheet: Sheet, asked: Asked) -> Estimate | NoData:
        """Of one inference: all streams' work in one run's time, shared among its queries."""
        scale = BITS.get(asked.dtype, 32) / 32
        flops, activations, weights = self._totals[RUNTIMES[asked.runtime]]
        queries = asked.batch * asked.streams
        run = energy_j(
            time_s=found.latency.value,
            flops=queries * flops,
            bytes_moved=scale * (queries * activations + asked.streams * weights),
            sheet=sheet,
            dtype=asked.dtype,
            table=self._about(sheet),
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
    places = list(map(_PLACES.__getitem__, found.binds))
    seconds = np.bincount(places, weights=found.part_s, minlength=len(BINDS)).tolist()
    total = sum(seconds) or 1.0
    known = [(bind, s / total) for bind, s in zip(BINDS, seconds, strict=True) if s > 0]
    return dict(sorted(known, key=lambda item: -item[1]))


BINDS: tuple[Binds, ...] = ("compute", "bandwidth", "overhead")
_PLACES: dict[str, int] = {bind: place for place, bind in enumerate(BINDS)}


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
