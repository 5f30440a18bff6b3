"""The full grid of a model's candidates, each measured once against the same reference.

Every variant (each rewriting of the graph, and each body on each of them) on every backend
that reads it, with every combination of the plan's settings. A candidate is opened in its own
process, verified, warmed, and timed in short blocks that alternate with those of a reference
that stays open: the original on the first backend's defaults. What is kept is the median of
the paired ratios, so slow minutes of the machine cancel. The fastest of the grid are measured
again in further processes; the very fastest, and those at which a replay of the search ends, anew
in many, all of them in the same minutes. The median of all processes counts. A process has a
speed of its own, and the best of many figures of one process each is too good to be true. The
machine has several speeds as well, at which two threads and one stand differently; so what is
compared is measured in turns, one process of each and then the next of each, in another
order every time.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

from peer_inputs import samples_path

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
FINALS = ((60, 2), (20, 5))  # so many of the fastest in so many processes each
NUM_HEATS = 13  # processes of each that is compared in the end
WARM_S = 0.3
VERIFY_S = 0.5
BLOCK_S = 0.04
BUDGET_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate of the grid.

    Attributes:
        speed: time of the reference over time of this candidate, the median of `heats`; None
            when it failed.
        heats: the same in each process.
        precision: in which the backend computes.
        relative_l2: distance of the outputs from the original's, of failed ones as well where
            that is known.
        memory_bytes: peak resident memory of its process.
    """

    candidate: dict[str, Any]
    speed: float | None
    relative_l2: float | None = None
    memory_bytes: float | None = None
    failure: str = ""
    heats: tuple[float, ...] = ()
    precision: str = ""

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
        rows = ({**row, "heats": tuple(row["heats"])} for row in content["rows"])
        return cls(
            model=content["model"],
            reference_s=content["reference_s"],
            adapted=Adapted.model_validate(content["adapted"]),
            rows=tuple(Row(**row) for row in rows),
        )


def walked(model: Path, tools: Tools) -> Walk:
    """Steps 1 to 3 for one query at a time, with generous time; trained models with real data."""
    stated: dict[str, Any] = {"model": model.name, "budget": {"time": "10 min"}}
    samples = samples_path(model.stem, model.parent)
    if samples.is_file():
        stated["data"] = {"source": samples.name, "calibration_share": 0.5}
    return walk(Contract.model_validate(stated), folder=model.parent, tools=tools)


def measure(model: Path, tools: Tools, *, log_line: Any = print) -> Grid:
    """Make every variant and measure every candidate; minutes per model."""
    with _searching(model, tools) as search:
        for chain in _chains(search.walk):
            search.make(chain)
        candidates = list(_candidates(search))
        log_line(f"{model.stem}: {len(candidates)} candidates")
        with _reference(search, candidates[0]) as reference:
            rows = {c.key: _row(search.setup, _target(search, c), reference) for c in candidates}
            _again(search, rows, reference)
            return Grid(
                model=model.stem,
                reference_s=reference.latency_s,
                adapted=search.adapted,
                rows=tuple(rows.values()),
            )


def measure_again(model: Path, tools: Tools, grid: Grid, *, keys: Collection[str]) -> Grid:
    """Some candidates of a grid in new processes, in turns; those of before count no more."""
    rows = {row.key: row for row in grid.rows}
    rows |= {key: replace(rows[key], heats=()) for key in keys}
    wanted = {rows[key].candidate["variant_id"] for key in keys}
    with _searching(model, tools) as search:
        for chain, made in zip(grid.adapted.chains, grid.adapted.made, strict=True):
            if made in wanted:
                search.make(chain)
        first = Candidate.model_validate(grid.rows[0].candidate)
        with _reference(search, first) as reference:
            _in_turns(search, rows, keys, reference, num_heats=NUM_HEATS)
    return replace(grid, rows=tuple(rows.values()))


@contextmanager
def _searching(model: Path, tools: Tools) -> Iterator[Search]:
    """A search in a folder of its own, which goes when it is over."""
    watch = Stopwatch(
        started=tools.clock(), budget_s=BUDGET_S, clock=tools.clock, console=tools.console
    )
    with tempfile.TemporaryDirectory(prefix="grid-", dir=model.parent.parent) as place:
        run = RunFolder(Path(place))
        yield Search(walked(model, tools), tools=tools, run=run, watch=watch)


@contextmanager
def _reference(search: Search, candidate: Candidate) -> Iterator[Contender]:
    """The original on the first backend's defaults, open and warm."""
    reference = open_contender(search.setup, _target(search, candidate))
    try:
        yield reference
    finally:
        reference.worker.close()


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
            away = verified.distance
            return Row(candidate=candidate, speed=None, failure=verified.detail, relative_l2=away)
        worker.feed(setup.samples.inputs)
        warm_up(worker, budget_s=WARM_S, clock=setup.clock)
        ratios = _ratios(worker, reference)
    except TrialFailed as error:
        return Row(candidate=candidate, speed=None, failure=Failure.of(error).detail)
    finally:
        worker.close()
    speed = exp(median(ratios))
    return Row(
        candidate=candidate,
        speed=speed,
        heats=(speed,),
        relative_l2=verified["relative_l2"].value,
        memory_bytes=footprint["peak_memory"].value,
        precision=worker.facts.get("precision", ""),
    )


def _again(search: Search, rows: dict[str, Row], reference: Contender) -> None:
    """The fastest in further processes of their own, each beside the reference as before."""
    for num_rows, num_heats in FINALS:
        fastest = sorted(rows, key=lambda k: -(rows[k].speed or 0.0))[:num_rows]
        _in_turns(search, rows, fastest, reference, num_heats=num_heats)


def _in_turns(
    search: Search,
    rows: dict[str, Row],
    keys: Collection[str],
    reference: Contender,
    *,
    num_heats: int,
) -> None:
    """One more process of each of them, and again, until they have had so many."""
    draw = random.Random(search.setup.seed)
    for num in range(num_heats):
        waiting = sorted(k for k in keys if rows[k].speed and len(rows[k].heats) <= num)
        for key in draw.sample(waiting, len(waiting)):
            rows[key] = _once_more(search, rows[key], reference)


def _once_more(search: Search, row: Row, reference: Contender) -> Row:
    """The row after one more process, beside the reference; as it was if that failed."""
    target = _target(search, Candidate.model_validate(row.candidate))
    more = _row(search.setup, target, reference)
    if not more.speed:
        return row
    heats = (*row.heats, more.speed)
    return replace(row, heats=heats, speed=median(heats), precision=more.precision)


def _ratios(worker: Worker, reference: Contender) -> list[float]:
    """Log-ratios of block medians, reference over candidate, per round."""
    both = {"it": worker, "": reference.worker}
    rounds = interleaved(both, latency_block, seconds=BLOCK_S, min_runs=2)
    return [log(median(t[""]) / median(t["it"])) for t in islice(rounds, ROUNDS)]
