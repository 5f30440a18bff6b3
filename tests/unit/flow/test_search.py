"""The search between two steps: what it holds against a candidate, whenever it was started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench_machine import device
from fitwright.bench.setup import Measurement
from fitwright.errors import BackendMissing, TrialFailed
from fitwright.flow import loop, measure
from fitwright.flow.allowance import OVERTIME_SHARE
from fitwright.flow.races import Raced
from fitwright.flow.search import Search
from fitwright.flow.stopwatch import Stopwatch
from fitwright.ports import Runtime, Samples, Tools
from fitwright.records.agenda import Agenda
from fitwright.records.contract import Contract
from fitwright.records.figure import Figure
from fitwright.records.plan import BackendPlan, Settings
from fitwright.records.recipe import Adapted, FixShapes, Int8Static, Recipe, Simplify, Variant
from fitwright.records.run import RunFolder
from fitwright.records.trial import Candidate, Failure, Trial
from fitwright.start import Silent
from fitwright.testing.fakes import FakeClock, FakeExecutor, FakeWorker
from fitwright.tune.proposal import OVERTIME, SETTINGS, Make, Try
from needs import SIZE, need
from proposals import comparison

INPUTS = {"x": np.ones((4, 1, 2), np.float32)}
SLOW_S, FAST_S = 0.010, 0.005


def variant(name: str, *recipes: Recipe) -> Variant:
    return Variant(
        id=name, recipes=recipes, file=f"{name}.onnx", files=(f"{name}.onnx",), format="onnx",
        sha256="0" * 64, size_bytes=5000, backends=("fake",),
    )  # fmt: skip


ORIGINAL, FASTER = variant("slow"), variant("fast", FixShapes())


def candidate(of: Variant, *, backend: str = "fake") -> Candidate:
    return Candidate(variant_id=of.id, title=of.title, backend=backend, settings=Settings())


class Timekeeper:
    """Races that fail at once; keeps how long each might have taken."""

    def __init__(self) -> None:
        self.budgets_s: list[float] = []

    def alone(self, *_: object, budget_s: float, **__: object) -> Raced:
        self.budgets_s.append(budget_s)
        failure = Failure(cause="crashed", detail="at once")
        return Raced(measured=Measurement(failure=failure), incumbent=None)

    def settle(self, *, accepted: bool) -> None:
        assert not accepted

    def close(self) -> None:
        """Nothing is open."""


def resumed(
    folder: Path, *, backend: str = "fake", dies: bool = False, races: Any = None
) -> Search:
    """A run in which the slow original was accepted; it is larger than the limit."""
    clock, run = FakeClock(), RunFolder(folder)
    figures = {"size": Figure.measured(5000.0, unit="bytes")}
    run.write(Adapted(variants=(ORIGINAL, FASTER)))
    run.record_trial(
        Trial(
            number=1, round=1, candidate=candidate(ORIGINAL, backend=backend), reason="",
            decision="accepted", figures=figures,
        )
    )  # fmt: skip

    def worker(_: Runtime, model: Path, __: Settings) -> FakeWorker:
        latency_s = FAST_S if model.stem == "fast" else SLOW_S
        fails_at = 0 if dies and model.stem != "fast" else None
        return FakeWorker(latency_s=lambda _: latency_s, clock=clock, fails_at=fails_at)

    tools = Tools(
        runtimes={"fake": SimpleNamespace(name="fake")},  # type: ignore[dict-item]
        transforms={},
        executor=FakeExecutor(worker=worker),
        meter=None,
        console=Silent(),
        cache=folder,
        clock=clock,
    )
    watch = Stopwatch(started=0.0, budget_s=60.0, clock=clock, console=Silent())
    return Search(walked(), tools=tools, run=run, watch=watch, races=races)


def walked() -> Any:
    """Steps 1 to 3 of a model that returns its inputs."""
    summary = SimpleNamespace(flops=1, uncounted=(), operators=())
    samples = Samples(inputs=INPUTS, labels=None, origin="synthetic")
    analyzed = SimpleNamespace(
        analysis=SimpleNamespace(need=need(SIZE), summary=summary),
        split=SimpleNamespace(evaluation=samples),
        reference=INPUTS,
        metric="agreement",
    )
    contract = Contract(model="m.onnx")
    return SimpleNamespace(contract=contract, analyzed=analyzed, device=device())


def trial_of(of: Variant) -> Trial:
    return Trial(
        number=2, round=2, candidate=candidate(of), reason="", decision="rejected", seconds=1.0,
        figures={"size": Figure.measured(5000.0, unit="bytes")},
    )  # fmt: skip


STEP = Try(candidate=candidate(FASTER), variant=FASTER, round=2)


def test_a_reopened_incumbent_is_compared_with_the_figures_it_has(tmp_path: Path) -> None:
    with resumed(tmp_path) as search:
        trial = search.bench(STEP)
    # both break the size limit alike, so speed decides
    assert trial.decision == "accepted"
    assert trial.reason.startswith("faster")


@pytest.mark.parametrize(("before", "decision"), [(0.6, "accepted"), (0.4, "rejected")])
def test_a_second_race_of_a_candidate_does_not_forget_the_first(
    tmp_path: Path, before: float, decision: str
) -> None:
    with resumed(tmp_path) as search:
        seen = comparison(before, candidate(ORIGINAL).key)
        search.record(trial_of(FASTER).model_copy(update={"comparison": seen}))
        trial = search.bench(replace(STEP, round=OVERTIME))
    assert trial.comparison is not None
    assert trial.comparison.ratio == pytest.approx(SLOW_S / FAST_S)
    assert trial.decision == decision


def test_nothing_is_accepted_unraced_when_the_incumbent_no_longer_opens(tmp_path: Path) -> None:
    with resumed(tmp_path, dies=True) as search, pytest.raises(TrialFailed):
        search.bench(STEP)
    assert len(search.trials) == 1


@pytest.mark.parametrize(
    ("spent_s", "times"), [(0.0, OVERTIME_SHARE), (58.0, 1.0)], ids=["time is left", "none is"]
)
def test_what_noise_left_open_may_take_longer_while_there_is_time(
    tmp_path: Path, spent_s: float, times: float
) -> None:
    races = Timekeeper()
    search = resumed(tmp_path, races=races)
    search.tools.clock.now_s = spent_s  # type: ignore[attr-defined]
    for round_ in (SETTINGS, OVERTIME):
        search.bench(replace(STEP, round=round_))
    usual_s, longer_s = races.budgets_s
    assert longer_s == pytest.approx(times * usual_s)


def test_a_resumed_run_names_the_backend_that_is_gone(tmp_path: Path) -> None:
    with resumed(tmp_path, backend="gone") as search, pytest.raises(BackendMissing, match="'gone'"):
        search.bench(STEP)


@pytest.mark.parametrize(
    ("taken_s", "spent_s", "is_left_out"),
    [(9.0, 0.0, False), (9.0, 35.0, True), (2.0, 35.0, False)],
    ids=["there is time", "it would not be done", "it is quick"],
)
def test_what_would_not_be_made_in_time_is_left_out_and_the_search_goes_on(
    tmp_path: Path, taken_s: float, spent_s: float, is_left_out: bool
) -> None:
    search = resumed(tmp_path)
    int8 = variant("int8", FixShapes(), Int8Static()).model_copy(update={"seconds": taken_s})
    search.adapted = Adapted(
        variants=(ORIGINAL, int8), chains=((FixShapes(), Int8Static()),), made=("int8",)
    )
    wanted = (FixShapes(), Simplify(), Int8Static())
    backends = (BackendPlan(backend="fake", settings=(Settings(),)),)
    search.walk.plan = SimpleNamespace(backends=backends, batches=(), parts=())  # type: ignore
    search.walk.agenda = Agenda(rewrites=(wanted,))  # type: ignore[misc]
    search.record(trial_of(FASTER))
    search.tools.clock.now_s = spent_s  # type: ignore[attr-defined]
    step = search.propose()
    assert (step != Make(chain=wanted)) is is_left_out
    assert search.left_out == ((wanted,) if is_left_out else ())
    assert wanted not in search.adapted.chains, "a resumed run may make it yet"


def test_a_run_in_which_nothing_works_ends_with_its_time() -> None:
    make = Make(chain=(FixShapes(),))
    made: list[object] = []
    search: Any = SimpleNamespace(
        say_step=lambda _: None,
        propose=lambda: make if not made else None,
        left_s=lambda: -1.0,
        make=made.append,
    )
    assert loop(search, refuted=set()) == "out_of_time"
    assert not made


def test_benching_a_model_that_no_backend_runs_gives_the_failures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    search = resumed(tmp_path, dies=True)
    found = walked()
    backends = (BackendPlan(backend="fake", settings=(Settings(),)),)
    found.plan = SimpleNamespace(backends=backends, batches=(), parts=())
    found.agenda = Agenda()
    found.analyzed.analysis.summary = SimpleNamespace(
        path=__file__,
        sha256="0" * 64,
        size_bytes=Path(__file__).stat().st_size,
        flops=1,
        uncounted=(),
        operators=(),
    )
    monkeypatch.setattr(measure, "walk", lambda *_, **__: found)
    trials = measure.bench_model(
        Contract(model="m.onnx"), folder=tmp_path, tools=search.tools, budget_s=9.0
    )
    assert [t.failure.cause for t in trials if t.failure] == ["crashed"]
