"""The full grid of a model's candidates, each measured once against the same reference.

Every variant (each rewriting of the graph, and each body on each of them) on every backend
that reads it, with every combination of the plan's settings. A candidate is opened in its own
process, verified, warmed, and timed in short blocks that alternate with those of a reference
that stays open: the original on the first backend's defaults. What is kept is the median of
the paired ratios, so slow minutes of the machine cancel. The fastest of the grid are measured
again in further processes, and the median of all of them counts: a process has a speed of its
own, and the best of many figures of one process each is too good to be true.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

from fitwright.bench.block import interleaved, latency_block
from fitwright.bench.opening import affordable, first_queries, open_worker
from fitwright.bench.setup import Setup, Target
from fitwright.bench.trial import Contender, open_contender
from fitwright.bench.verify import verify
from fitwright.bench.warmup import warm_up
from fitwright.errors import TrialFailed
from fitwright.flow.search import Search
from fitwright.flow.steps import Walk, walk
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import Tools, Worker
from fitwright.records.contract import Contract
from fitwright.records.recipe import Adapted
from fitwright.records.run import RunFolder
from fitwright.records.trial import Candidate, Failure
from fitwright.tune.space import joint_space

ROUNDS = 7
NUM_HEATS = 4
NUM_FINAL = 20
WARM_S = 0.3
VERIFY_S = 0.5
BLOCK_S = 0.04
BUDGET_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate of the grid.

    Attributes:
        speed: time of the reference over time of this candidate; None when it failed.
        relative_l2: distance of the outputs from the original's.
        memory_bytes: peak resident memory of its process.
    """

    candidate: dict[str, Any]
    speed: float | None
    relative_l2: float | None = None
    memory_bytes: float | None = None
    failure: str = ""

    @property
    def key(self) -> str:
        """Of the candidate."""
        return Candidate.model_validate(self.candidate).key


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Everything measured of one model."""

    model: str
    reference_s: float
    adapted: Adapted
    rows: tuple[Row, ...]

    def save(self, file: Path) -> None:
        """As JSON."""
        content = {
            "model": self.model,
            "reference_s": self.reference_s,
            "adapted": self.adapted.model_dump(mode="json"),
            "rows": [asdict(row) for row in self.rows],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    @classmethod
    def load(cls, file: Path) -> Grid:
        """What `save` wrote."""
        content = json.loads(file.read_text())
        return cls(
            model=content["model"],
            reference_s=content["reference_s"],
            adapted=Adapted.model_validate(content["adapted"]),
            rows=tuple(Row(**row) for row in content["rows"]),
        )


def walked(model: Path, tools: Tools) -> Walk:
    """Steps 1 to 3 for one query at a time, with generous time."""
    contract = Contract.model_validate({"model": model.name, "budget": {"time": "10 min"}})
    return walk(contract, folder=model.parent, tools=tools)


def measure(
    model: Path, tools: Tools, *, before: Grid | None = None, log_line: Any = print
) -> Grid:
    """Make every variant and measure every candidate; minutes per model.

    Args:
        before: an earlier grid; of its candidates only the fastest are measured again.
    """
    found = walked(model, tools)
    watch = Stopwatch(
        started=tools.clock(), budget_s=BUDGET_S, clock=tools.clock, console=tools.console
    )
    with tempfile.TemporaryDirectory(prefix="grid-", dir=model.parent.parent) as place:
        search = Search(found, tools=tools, run=RunFolder(Path(place)), watch=watch)
        for chain in _chains(found):
            search.make(chain)
        candidates = list(_candidates(search))
        log_line(f"{model.stem}: {len(candidates)} candidates")
        first = candidates[0]
        reference = open_contender(search.setup, _target(search, first))
        try:
            known = {row.key: row for row in before.rows} if before else {}
            rows = [
                known.get(c.key) or _row(search.setup, _target(search, c), reference)
                for c in candidates
            ]
            rows = _again(search, rows, reference)
        finally:
            reference.worker.close()
        return Grid(
            model=model.stem,
            reference_s=reference.latency_s,
            adapted=search.adapted,
            rows=tuple(rows),
        )


def _chains(found: Walk) -> Iterator[tuple[Any, ...]]:
    for rewrite in found.agenda.rewrites:
        yield rewrite
    for rewrite in found.agenda.rewrites:
        for body in found.agenda.bodies:
            yield (*rewrite, *body.recipes)


def _candidates(search: Search) -> Iterator[Candidate]:
    plan = search.walk.plan
    backends = [b.backend for b in plan.backends]
    pairs = [(v, b) for v in search.adapted.variants for b in backends if b in v.backends]
    space = joint_space(pairs, plan.backends)
    by_key = {space.candidate(point).key: space.candidate(point) for point in space.points()}
    yield from by_key.values()


def _target(search: Search, candidate: Candidate) -> Target:
    return search.target(candidate, search.adapted.variant(candidate.variant_id))


def _row(setup: Setup, target: Target, reference: Contender) -> Row:
    candidate = target.candidate.model_dump(mode="json")
    try:
        worker = open_worker(setup, target)
    except TrialFailed as error:
        return Row(candidate=candidate, speed=None, failure=Failure.of(error).detail)
    try:
        footprint, probe_s = first_queries(setup, worker)
        samples, outputs = affordable(setup, probe_s=probe_s, budget_s=VERIFY_S)
        worker.feed(samples.inputs)
        verified = verify(
            worker, reference=outputs, need=setup.need, samples=samples, metric=setup.metric
        )
        if isinstance(verified, Failure):
            return Row(candidate=candidate, speed=None, failure=verified.detail)
        worker.feed(setup.samples.inputs)
        warm_up(worker, budget_s=WARM_S, clock=setup.clock)
        ratios = _ratios(worker, reference)
    except TrialFailed as error:
        return Row(candidate=candidate, speed=None, failure=Failure.of(error).detail)
    finally:
        worker.close()
    return Row(
        candidate=candidate,
        speed=exp(median(ratios)),
        relative_l2=verified["relative_l2"].value,
        memory_bytes=footprint["peak_memory"].value,
    )


def _again(search: Search, rows: Sequence[Row], reference: Contender) -> list[Row]:
    """The fastest in further processes of their own, each beside the reference as before."""
    fastest = sorted((r for r in rows if r.speed), key=lambda r: -(r.speed or 0.0))[:NUM_FINAL]
    speeds: dict[str, float] = {}
    for row in fastest:
        target = _target(search, Candidate.model_validate(row.candidate))
        heats = [_row(search.setup, target, reference).speed for _ in range(NUM_HEATS)]
        speeds[row.key] = median([s for s in (row.speed, *heats) if s])
    return [Row(**{**asdict(row), "speed": speeds.get(row.key, row.speed)}) for row in rows]


def _ratios(worker: Worker, reference: Contender) -> list[float]:
    """Log-ratios of block medians, reference over candidate, per round."""
    both = {"it": worker, "": reference.worker}
    rounds = interleaved(both, latency_block, seconds=BLOCK_S, min_runs=2)
    return [log(median(t[""]) / median(t["it"])) for t in islice(rounds, ROUNDS)]
